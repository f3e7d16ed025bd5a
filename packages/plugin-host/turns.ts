import { AsyncLocalStorage } from 'node:async_hooks'
import type { Bus } from '#bus'
import { defineMessage } from '#contract'
import { type KeyedQueues, newUuid } from '#kernel'

interface Turn {
  readonly key: string
  readonly nodeUuid: string
  readonly ticket: string
}

const retryInTurn = defineMessage<Turn, void>('workflow.retryInTurn', ({ key }) => key)
const takeTurn = defineMessage<{ readonly ticket: string; readonly owner: string }, void>('workflow.takeTurn')

interface TurnsDeps {
  readonly bus: Bus
  /** Of this node. */
  readonly queues: KeyedQueues
  readonly self: string
}

/** Runs `work` here when it is its turn in the queue of `key`, whichever node owns that: nothing else is done to the same object meanwhile. */
export type InTurn = (key: string, work: () => Promise<void>) => Promise<void>

export function createTurns({ bus, queues, self }: TurnsDeps): InTurn {
  const waiting = new Map<string, (owner: string) => Promise<void>>()
  bus.serve(retryInTurn, ({ nodeUuid, ticket }) => bus.callNode(nodeUuid, takeTurn, { ticket, owner: self }))
  bus.serve(takeTurn, async ({ ticket, owner }) => waiting.get(ticket)?.(owner))
  return async (key, work) => {
    const ticket = newUuid()
    const asOurs = AsyncLocalStorage.snapshot()
    // When the owner dies its queue goes with it. Whoever owns the key then asks what the others still work on, and waits for it.
    const inBothQueues = () => asOurs(() => queues.run(key, 'stuck work is tried again', work))
    waiting.set(ticket, (owner) => (owner === self ? work() : inBothQueues()))
    try {
      await bus.call(retryInTurn, { key, nodeUuid: self, ticket })
    } finally {
      waiting.delete(ticket)
    }
  }
}
