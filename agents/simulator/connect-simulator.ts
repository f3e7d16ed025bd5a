import type { AgentCall, AgentClient, AgentHandlers } from '#agent-rpc'
import { newUuid } from '#kernel'

/** A client of handlers in the same process, for the tests of the simulator itself. */
export function connectSimulator<Calls extends Readonly<Record<string, AgentCall>>>(
  calls: Calls,
  handlers: AgentHandlers<Calls>,
  epoch = 0,
): AgentClient {
  return {
    async call(call, input, options = {}) {
      const name = Object.keys(calls).find((key) => calls[key]?.name === call.name)
      const handler = handlers[name as keyof Calls]
      const output = await handler(input as never, {
        callId: options.callId ?? newUuid(),
        taskId: options.taskId,
        epoch,
        signal: options.signal ?? new AbortController().signal,
        progress: (percent) => options.onProgress?.(percent),
      })
      // The handler found by the call's own name gives that call's output.
      return output as never
    },
    close() {},
  }
}
