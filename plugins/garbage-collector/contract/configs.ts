import { defineConfig, int } from '#contract'

export const collectInterval = defineConfig({
  category: 'garbageCollector',
  name: 'interval',
  description:
    'Seconds between looks for jobs whose time has come. A job that failed waits this long, then twice as long each time, at most an hour.',
  field: int('Seconds.', [1, 3600]),
  defaultValue: 60,
})
