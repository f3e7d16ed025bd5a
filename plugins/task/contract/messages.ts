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

interface ShownEntry extends QueueEntry {
  readonly apiName?: string | undefined
}

/** One queue or lane, as far as one node has it. */
export interface QueueOnNode {
  readonly key: string
  readonly running: readonly ShownEntry[]
  /** The first of what waits. */
  readonly pending: readonly ShownEntry[]
  readonly pendingCount: number
}

/** Asks a node for its queues: those with these keys and of these objects, or all. */
export const tellQueues = defineMessage<
  { keys?: readonly string[] | undefined; uuids?: readonly string[] | undefined },
  QueueOnNode[]
>('task.queues', undefined, { timeoutMs: 10_000 })
