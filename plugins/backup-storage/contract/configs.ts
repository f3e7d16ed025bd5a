import { bool, defineConfig, int, text } from '#contract'

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

export const commandParallelism = defineConfig({
  category: 'backupStorage',
  name: 'command.parallelismDegree',
  description:
    'Commands of one management node a backup storage works on at the same time, downloads apart; the others wait.',
  field: int('Commands.', [1, 1000]),
  defaultValue: 20,
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
  field: text('Size.', { max: 24, pattern: /^\d{1,12}[KMGT]?$/ }),
  defaultValue: '1G',
})
