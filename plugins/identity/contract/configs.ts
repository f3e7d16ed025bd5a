import { defineConfig, int } from '#contract'

export const sessionTimeout = defineConfig({
  category: 'identity',
  name: 'session.timeout',
  description: 'Seconds after which an unused session ends.',
  field: int('Seconds.', [1, 31_536_000]),
  defaultValue: 7200,
})

export const maxSessions = defineConfig({
  category: 'identity',
  name: 'session.maxConcurrent',
  description: 'Sessions an account may have at the same time.',
  field: int('Number.', [1, 1_000_000]),
  defaultValue: 500,
})

export const sessionCleanupInterval = defineConfig({
  category: 'identity',
  name: 'session.cleanup.interval',
  description: 'Seconds between two removals of expired sessions.',
  field: int('Seconds.', [2, 86_400]),
  defaultValue: 3600,
})
