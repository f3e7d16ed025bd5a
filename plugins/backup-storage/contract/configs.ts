import { bool, defineConfig, int, text } from '#contract'
import { CloudError, sysErrors } from '#kernel'

export const pingInterval = defineConfig({
  category: 'backupStorage',
  name: 'ping.interval',
  description: 'Seconds between two looks at every backup storage.',
  field: int('Seconds.', [1, 86_400]),
  defaultValue: 60,
})

export const pingParallelism = defineConfig({
  category: 'backupStorage',
  name: 'ping.parallelismDegree',
  description: 'How many backup storages are looked at at the same time.',
  field: int('Backup storages.', [1, 10_000]),
  defaultValue: 50,
})

export const autoReconnect = defineConfig({
  category: 'backupStorage',
  name: 'connection.autoReconnectOnError',
  description: 'Whether a backup storage that does not answer is connected again without being asked.',
  field: bool('Reconnect.'),
  defaultValue: true,
})

export const reservedCapacity = defineConfig({
  category: 'backupStorage',
  name: 'reservedCapacity',
  description:
    'Space of every backup storage that images leave free: a number of bytes, or one followed by K, M, G or T.',
  field: text('Size.', { max: 24, pattern: /^\d+[KMGT]?$/ }),
  defaultValue: '1G',
})

/** Bytes in `1G`, `512M` or `4096`. Throws SYS.1007 when it is none of these. */
export function bytesOf(size: string): number {
  const [, digits = '', unit = ''] = /^(\d+)([KMGT]?)$/.exec(size) ?? []
  const bytes = Number(digits) * 1024 ** ' KMGT'.indexOf(unit === '' ? ' ' : unit)
  if (digits === '' || !Number.isSafeInteger(bytes)) {
    const details = `'${size}' is not a size; write a number of bytes, or one followed by K, M, G or T, as in 1G`
    throw new CloudError(sysErrors.invalidArgument, details)
  }
  return bytes
}
