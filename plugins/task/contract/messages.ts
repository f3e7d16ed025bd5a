import { defineMessage } from '#contract'
import type { QueueEntry } from '#kernel'

/** What only the process that runs a task knows of it. */
export interface Whereabouts {
  /** Every entry of the queues it is in, each queue in its order. */
  readonly queues: readonly QueueEntry[]
  readonly agentCalls: readonly { readonly call: string; readonly address: string; readonly forMs: number }[]
  readonly progress: readonly {
    readonly time: number
    readonly percent: number | undefined
    readonly message: string
  }[]
}

/** Asks the node that runs a task. */
export const tellWhereabouts = defineMessage<{ taskId: string }, Whereabouts>('task.whereabouts', undefined, {
  timeoutMs: 10_000,
})
