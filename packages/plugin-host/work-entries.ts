import type { KeyedQueues, Lanes, QueueEntry } from '#kernel'
import type { Admission } from './admission.ts'

/** The line of jobs that wait because as many run as may. */
export const SLOTS = 'slots'

/**
 * All that waits or runs on this node, as operators see it: what is in the queues and lanes, and after it the jobs that were not let in yet,
 * each under its own key, or under `slots` when only a free slot is missing.
 */
export function workEntries(parts: {
  readonly queues: KeyedQueues
  readonly lanes: Lanes
  readonly admission: Admission
}): QueueEntry[] {
  const entries = [...parts.queues.entries(), ...parts.lanes.entries()]
  for (const { state, key, label, taskId, sinceMs } of parts.admission.entries()) {
    if (state === 'waits for its key')
      entries.push({ key: key ?? SLOTS, label, taskId, running: false, sinceMs })
    if (state === 'waits for a slot') entries.push({ key: SLOTS, label, taskId, running: false, sinceMs })
  }
  return entries
}
