/** States of a VM. Those ending in -ing are transient: a row is in one only while a journalled workflow works on it. */
export const vmState = {
  created: 'Created',
  starting: 'Starting',
  running: 'Running',
  stopping: 'Stopping',
  stopped: 'Stopped',
  rebooting: 'Rebooting',
  pausing: 'Pausing',
  paused: 'Paused',
  resuming: 'Resuming',
  migrating: 'Migrating',
  destroying: 'Destroying',
  destroyed: 'Destroyed',
  expunging: 'Expunging',
  /** The host cannot be reached; the VM may run. */
  unknown: 'Unknown',
} as const

/** States in which the VM's domain exists on its host. */
export const liveStates: readonly string[] = [vmState.running, vmState.paused]

/** States a VM rests in while a host has it; in any other a workflow is at work and will tell the outcome itself. */
export const restingStates: readonly string[] = [vmState.running, vmState.paused, vmState.unknown]

/** States in which the host serves the VM's NICs; of one that is unknown it may well have the guest. */
export const servedStates: readonly string[] = [
  vmState.unknown,
  vmState.starting,
  vmState.running,
  vmState.rebooting,
  vmState.pausing,
  vmState.paused,
  vmState.resuming,
  vmState.migrating,
]

/** A condition on the state of a VM with the states that satisfy it: handlers check it, forms show it. */
export interface StatePredicate {
  (vm: { readonly state: string }): boolean
  readonly states: readonly string[]
}

function anyOf(...states: string[]): StatePredicate {
  return Object.assign((vm: { readonly state: string }) => states.includes(vm.state), { states })
}

const { running, stopped, paused, unknown, destroyed, created } = vmState

/** What may be done with a VM in which state. */
export const vmCan = {
  start: anyOf(stopped, created),
  stop: anyOf(running, paused, unknown),
  reboot: anyOf(running),
  pause: anyOf(running),
  resume: anyOf(paused),
  migrate: anyOf(running),
  destroy: anyOf(running, stopped, paused, unknown, created),
  recover: anyOf(destroyed),
  expunge: anyOf(destroyed),
  attachVolume: anyOf(running, stopped),
  detachVolume: anyOf(running, stopped),
  attachNic: anyOf(running, stopped),
  console: anyOf(running, paused),
  resize: anyOf(stopped),
} as const
