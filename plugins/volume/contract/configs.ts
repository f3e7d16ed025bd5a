import { choice, defineConfig, int } from '#contract'

export const volumeDeletionPolicy = defineConfig({
  category: 'volume',
  name: 'deletionPolicy',
  description:
    'Direct: a deleted data volume is expunged at once. Delay: after expungePeriod. Never: only by ExpungeDataVolume.',
  field: choice('Policy.', ['Direct', 'Delay', 'Never']),
  defaultValue: 'Delay' as 'Direct' | 'Delay' | 'Never',
})

export const volumeExpungePeriod = defineConfig({
  category: 'volume',
  name: 'expungePeriod',
  description: 'Seconds after which a deleted data volume is expunged.',
  field: int('Seconds.', [1, 31_536_000]),
  defaultValue: 259_200,
})

export const volumeExpungeInterval = defineConfig({
  category: 'volume',
  name: 'expungeInterval',
  description: 'Seconds between two searches for data volumes to expunge.',
  field: int('Seconds.', [1, 31_536_000]),
  defaultValue: 3600,
})
