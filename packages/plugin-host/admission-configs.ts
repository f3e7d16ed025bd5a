import { type ConfigDefinition, defineConfig, int } from '#contract'

export const jobParallelism = defineConfig({
  category: 'apiJob',
  name: 'parallelismDegree',
  description:
    'Asynchronous API calls a management node works on at the same time; the others wait, and accounts take turns.',
  field: int('Calls.', [1, 100_000]),
  defaultValue: 200,
})

export const jobSlowAfter = defineConfig({
  category: 'apiJob',
  name: 'slowAfter',
  description:
    'Seconds after which a call under way no longer counts for parallelismDegree: it waits for a host or a download, and others may begin.',
  field: int('Seconds.', [1, 3600]),
  defaultValue: 5,
})

export const maxUnfinishedJobs = defineConfig({
  category: 'apiJob',
  name: 'maxUnfinished',
  description: 'Asynchronous API calls a management node has accepted and not ended; more are refused.',
  field: int('Calls.', [1, 1_000_000]),
  defaultValue: 20_000,
})

export const maxUnfinishedJobsPerAccount = defineConfig({
  category: 'apiJob',
  name: 'maxUnfinishedPerAccount',
  description:
    'Asynchronous API calls of one account that a management node has accepted and not ended; more are refused.',
  field: int('Calls.', [1, 1_000_000]),
  defaultValue: 15_000,
})

export const admissionConfigs: readonly ConfigDefinition[] = [
  jobParallelism,
  jobSlowAfter,
  maxUnfinishedJobs,
  maxUnfinishedJobsPerAccount,
]
