import type { Message } from '#contract'
import { CloudError, type Disposable, type KeyedQueues, sysErrors } from '#kernel'

export type MessageHandler<I, O> = (input: I) => Promise<O>

/**
 * How services talk. A message with a key runs in that key's queue on the node that owns the key; on one node that is a
 * function call. Handlers must not call a message of a key they are already in the queue of: one key at a time.
 */
export interface Bus {
  /** Makes this process able to handle `message`. Two handlers for one message are an error. */
  serve<I, O>(message: Message<I, O>, handler: MessageHandler<I, O>): Disposable
  call<I, O>(message: Message<I, O>, input: I): Promise<O>
}

/** The bus inside one process: nothing is copied, nothing waits for a timer. */
export function createLocalBus(queues: KeyedQueues): Bus {
  const handlers = new Map<string, MessageHandler<never, unknown>>()
  return {
    serve: (message, handler) => {
      if (handlers.has(message.name)) throw new Error(`two handlers for the message ${message.name}`)
      handlers.set(message.name, handler as MessageHandler<never, unknown>)
      return { dispose: () => void handlers.delete(message.name) }
    },
    call: async <I, O>(message: Message<I, O>, input: I): Promise<O> => {
      const handler = handlers.get(message.name) as MessageHandler<I, O> | undefined
      if (handler === undefined) {
        throw new CloudError(
          sysErrors.noRoute,
          `no service handles ${message.name}: its plugin is not loaded`,
        )
      }
      const key = message.key?.(input)
      return key === undefined ? handler(input) : queues.run(key, message.name, () => handler(input))
    },
  }
}
