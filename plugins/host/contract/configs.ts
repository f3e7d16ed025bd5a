import { bool, type Constraints, defineConfig, type Field, int, text } from '#contract'

/** A ratio such as 1.5, kept as text like the original's. */
const ratio = (what: string): Field<string, true> =>
  text(what, { pattern: /^(?=.*[1-9])\d+(\.\d+)?$/, max: 16 } satisfies Constraints)

export const cpuOverProvisioning = defineConfig({
  category: 'host',
  name: 'cpu.overProvisioning.ratio',
  description: 'Virtual CPUs that VMs may have for each logical CPU of a host.',
  field: int('Virtual CPUs.', [1, 1000]),
  defaultValue: 10,
})

export const memoryOverProvisioning = defineConfig({
  category: 'mevoco',
  name: 'overProvisioning.memory',
  description: 'Memory that VMs may have in all, as a multiple of what the host has.',
  field: ratio('Ratio.'),
  defaultValue: '1.0',
})

export const pingInterval = defineConfig({
  category: 'host',
  name: 'ping.interval',
  description: 'Seconds between two pings of a host.',
  field: int('Seconds.', [1, 86_400]),
  defaultValue: 60,
})

export const pingParallelism = defineConfig({
  category: 'host',
  name: 'ping.parallelismDegree',
  description: 'Hosts that are pinged or connected at the same time.',
  field: int('Hosts.', [1, 10_000]),
  defaultValue: 100,
})

export const pingMisses = defineConfig({
  category: 'host',
  name: 'ping.maxFailures',
  description: 'Missed pings in a row after which a host is Disconnected.',
  field: int('Pings.', [1, 1000]),
  defaultValue: 3,
})

export const autoReconnect = defineConfig({
  category: 'host',
  name: 'connection.autoReconnectOnError',
  description: 'Whether a host that answers again is reconnected by itself.',
  field: bool('Whether.'),
  defaultValue: true,
})
