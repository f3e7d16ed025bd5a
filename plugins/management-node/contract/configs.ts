import { defineConfig, int } from '#contract'

export const heartbeatInterval = defineConfig({
  category: 'managementServer',
  name: 'node.heartbeatInterval',
  description: 'Seconds between two heartbeats of a management node.',
  field: int('Seconds.', [1, 3600]),
  defaultValue: 5,
})

export const resultLife = defineConfig({
  category: 'rest',
  name: 'completedApi.expiredPeriod',
  description: 'Seconds the result of an asynchronous call can be asked for.',
  field: int('Seconds.', [60, 31_536_000]),
  defaultValue: 10_800,
})

export const resultScan = defineConfig({
  category: 'rest',
  name: 'scanExpiredApi.interval',
  description: 'Seconds between two removals of expired results.',
  field: int('Seconds.', [1, 86_400]),
  defaultValue: 3600,
})
