import type { AgentVmState } from '../contract/host.ts'

/** What an event of libvirt means to the management; undefined when it means nothing new. */
export interface StateChange {
  readonly state: AgentVmState
  readonly reason: string | undefined
}

const STARTED = 2
const SUSPENDED = 3
const RESUMED = 4
const STOPPED = 5
const CRASHED = 8

const SUSPENDED_BY_MIGRATION = 1
const STOPPED_REASONS = ['shutdown', 'destroyed', 'crashed', 'migrated', 'saved', 'crashed', 'destroyed']
const SUSPENDED_REASONS = ['paused', 'migrated', 'ioerror', 'watchdog', 'restored']

/** Reads a life-cycle event (virDomainEventType and its detail). */
export function readLifecycleEvent(event: number, detail: number): StateChange | undefined {
  switch (event) {
    case STARTED:
      return { state: 'Running', reason: detail === 1 ? 'migrated' : undefined }
    case RESUMED:
      return { state: 'Running', reason: detail === 1 ? 'migrated' : undefined }
    case SUSPENDED:
      // The last instant of a migration: the guest goes on elsewhere, or here when it failed.
      if (detail === SUSPENDED_BY_MIGRATION) return undefined
      return { state: 'Paused', reason: SUSPENDED_REASONS[detail] }
    case STOPPED:
      return { state: 'Stopped', reason: STOPPED_REASONS[detail] }
    case CRASHED:
      return { state: 'Crashed', reason: 'crashed' }
    default:
      return undefined
  }
}

const PAUSED_BY_MIGRATION = 2
const PAUSED_STARTING_UP = 11

/** Reads virDomainState and its reason. `moving`: the domain stands still only because it is on its way between hosts. */
export function readDomainState(
  state: number,
  reason: number,
): { readonly state: AgentVmState; readonly moving: boolean } {
  const moving = state === 3 && (reason === PAUSED_BY_MIGRATION || reason === PAUSED_STARTING_UP)
  switch (state) {
    case 3:
      return { state: 'Paused', moving }
    case 5:
      return { state: 'Stopped', moving }
    case 6:
      return { state: 'Crashed', moving }
    default:
      // Blocked, shutting down and suspended by the guest: QEMU runs, and that is what counts.
      return { state: 'Running', moving }
  }
}
