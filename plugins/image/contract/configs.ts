import { bool, choice, defineConfig, int, long, text } from '#contract'

const category = 'image'

export const deletionPolicy = defineConfig({
  category,
  name: 'deletionPolicy',
  description:
    'Delay: a deleted image can be recovered until expungePeriod is over. Direct: it is gone at once. Never: only ExpungeImage removes it.',
  field: choice('Policy.', ['Direct', 'Delay', 'Never']),
  defaultValue: 'Delay',
})

export const expungePeriod = defineConfig({
  category,
  name: 'expungePeriod',
  description: 'Seconds a deleted image is kept, under the policy Delay.',
  field: long('Seconds.', [1, 10 * 365 * 86_400]),
  defaultValue: 259_200,
})

export const expungeInterval = defineConfig({
  category,
  name: 'expungeInterval',
  description: 'Seconds between two searches for deleted images whose time is over.',
  field: long('Seconds.', [1, 30 * 86_400]),
  defaultValue: 3600,
})

export const downloadMaxBytes = defineConfig({
  category,
  name: 'download.maxBytes',
  description: 'Largest image that is taken, in bytes; a backup storage with less room takes less.',
  field: long('Bytes.', [1, Number.MAX_SAFE_INTEGER]),
  defaultValue: 2 ** 40,
})

export const downloadTimeout = defineConfig({
  category,
  name: 'download.timeout',
  description: 'Seconds after which a download is given up.',
  field: int('Seconds.', [1, 7 * 86_400]),
  defaultValue: 10_800,
})

export const downloadParallelism = defineConfig({
  category,
  name: 'download.parallelismDegree',
  description: 'Downloads that one backup storage works on at the same time; further ones wait.',
  field: int('Downloads.', [1, 1000]),
  defaultValue: 4,
})

export const allowPrivateNetworks = defineConfig({
  category,
  name: 'download.allowPrivateNetworks',
  description:
    'Whether image URLs may name addresses of private networks. Loopback and link-local addresses are never allowed.',
  field: bool('Allow.'),
  defaultValue: true,
})

export const filePrefixes = defineConfig({
  category,
  name: 'download.filePrefixes',
  description:
    'Directories of image servers that file: URLs may name files in, separated by semicolons. With none, file: URLs are refused.',
  field: text('Absolute directories.', { pattern: /^(\/[^;]+(;|$))*$/ }),
  defaultValue: '',
})

/** The directories in a value of `filePrefixes`. */
export function prefixesOf(value: string): string[] {
  return value.split(';').flatMap((prefix) => (prefix.trim() === '' ? [] : [prefix.trim()]))
}
