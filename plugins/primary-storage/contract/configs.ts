import { defineConfig, int, text } from '#contract'

export const storageOverProvisioning = defineConfig({
  category: 'mevoco',
  name: 'overProvisioning.primaryStorage',
  description: 'Bytes that may be promised, as a multiple of what a primary storage has.',
  field: text('Ratio.', { pattern: /^(?=.*[1-9])\d+(\.\d+)?$/, max: 16 }),
  defaultValue: '1.0',
})

export const reservedCapacity = defineConfig({
  category: 'primaryStorage',
  name: 'reservedCapacity',
  description: 'Space of a primary storage that is never promised, as 1G or in bytes.',
  field: text('Size.', { pattern: /^\d+[KMGT]?$/, max: 20 }),
  defaultValue: '1G',
})

export const imageCacheInterval = defineConfig({
  category: 'primaryStorage',
  name: 'imageCache.garbageCollector.interval',
  description: 'Seconds between two removals of cached images that nothing needs.',
  field: int('Seconds.', [1, 31_536_000]),
  defaultValue: 86_400,
})

export const storageParallelism = defineConfig({
  category: 'primaryStorage',
  name: 'work.parallelismDegree',
  description:
    'Volumes that one management node makes, copies or removes on a primary storage at the same time; on each host of one that lies on the hosts. The others wait.',
  field: int('Volumes.', [1, 1000]),
  defaultValue: 30,
})

export const imageCopyParallelism = defineConfig({
  category: 'primaryStorage',
  name: 'imageCache.parallelismDegree',
  description: 'Hosts that copy images from one backup storage at the same time; the others wait.',
  field: int('Hosts.', [1, 10_000]),
  defaultValue: 20,
})
