import type { Bus } from '#bus'
import { defineMessage } from '#contract'
import { newUuid } from '#kernel'

interface Turn {
  readonly key: string
  readonly nodeUuid: string
  readonly ticket: string
}

const retryInTurn = defineMessage<Turn, void>('workflow.retryInTurn', ({ key }) => key)
const takeTurn = defineMessage<Pick<Turn, 'ticket'>, void>('workflow.takeTurn')

/** Runs `work` here when it is its turn in the queue of `key`, whichever node owns that: nothing else is done to the same object meanwhile. */
export type InTurn = (key: string, work: () => Promise<void>) => Promise<void>

export function createTurns(bus: Bus, self: string): InTurn {
  const waiting = new Map<string, () => Promise<void>>()
  bus.serve(retryInTurn, ({ nodeUuid, ticket }) => bus.callNode(nodeUuid, takeTurn, { ticket }))
  bus.serve(takeTurn, async ({ ticket }) => waiting.get(ticket)?.())
  return async (key, work) => {
    const ticket = newUuid()
    waiting.set(ticket, work)
    try {
      await bus.call(retryInTurn, { key, nodeUuid: self, ticket })
    } finally {
      waiting.delete(ticket)
    }
  }
}
