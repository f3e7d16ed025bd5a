import type { Infer, Shape } from '#contract'
import { CloudError, currentTask, newUuid, sysErrors } from '#kernel'
import type { AgentCall, AgentEvent, AgentHandlers, CallContext, CallOptions } from './call.ts'
import type { AgentConnection } from './client.ts'
import { type SenderEpoch, sendAtEpoch } from './sender-epoch.ts'
import { agentTraffic } from './traffic.ts'

/** An agent in this process: what a simulator is to its driver. */
export interface LocalAgent extends AgentConnection {
  /** Delivers an event to everyone who follows. */
  emit(event: AgentEvent): void
}

type Handle = (input: unknown, context: CallContext) => Promise<unknown>

/**
 * Joins a driver to handlers in the same process with nothing between: no copies, no checks, but deadlines and cancellation as on
 * the wire. Only what is declared in `calls` can be called. The sender's epoch is in the context: to refuse an old one is the handlers' part.
 * `address` is shown to people.
 */
export function createLocalAgent<Calls extends Readonly<Record<string, AgentCall>>>(
  calls: Calls,
  handlers: AgentHandlers<Calls>,
  sender: SenderEpoch = {},
  address = 'this process',
): LocalAgent {
  const byName = new Map<string, Handle>()
  // The handler is looked up at each call: simulators replace theirs to inject failures.
  for (const key of Object.keys(calls)) {
    const handle: Handle = (input, context) => (handlers[key] as unknown as Handle)(input, context)
    byName.set(calls[key]?.name ?? key, handle)
  }
  const followers = new Set<(event: AgentEvent) => void>()
  const closing = new AbortController()
  return {
    call: (call, input, options) => {
      const taskId = options?.taskId ?? currentTask()?.id
      const send = (epoch: number) =>
        callLocal(byName.get(call.name), closing.signal, { call, input, options, taskId, epoch })
      return agentTraffic.follow({ call: call.name, where: address, taskId }, () => sendAtEpoch(sender, send))
    },
    events: (onEvent, onUp) => {
      followers.add(onEvent)
      onUp?.()
      return { dispose: () => void followers.delete(onEvent) }
    },
    emit: (event) => {
      for (const follower of followers) follower(event)
    },
    close: () => {
      followers.clear()
      closing.abort()
    },
  }
}

async function callLocal<I extends Shape, O extends Shape>(
  handle: Handle | undefined,
  closing: AbortSignal,
  what: {
    call: AgentCall<I, O>
    input: Infer<I>
    options: CallOptions | undefined
    taskId: string | undefined
    epoch: number
  },
): Promise<Infer<O>> {
  const { call, input, options = {}, taskId, epoch } = what
  if (handle === undefined) {
    throw new CloudError(sysErrors.unknownMessage, `the agent does not know the command ${call.name}`)
  }
  if (closing.aborted) throw new CloudError(sysErrors.ioError, `the agent of ${call.name} is closed`)
  const timeoutMs = options.timeoutMs ?? call.timeoutMs
  const controller = new AbortController()
  const abort = (error: CloudError) => controller.abort(error)
  const onCancel = () =>
    abort(new CloudError(sysErrors.cancelled, `${call.name} was cancelled by its caller`))
  const onTimeout = () =>
    abort(new CloudError(sysErrors.timeout, `the agent did not answer ${call.name} within ${timeoutMs} ms`))
  const timer = setTimeout(onTimeout, timeoutMs)
  if (options.signal?.aborted) onCancel()
  options.signal?.addEventListener('abort', onCancel, { once: true })
  try {
    const context: CallContext = {
      callId: options.callId ?? newUuid(),
      taskId,
      epoch,
      signal: controller.signal,
      progress: (percent) => options.onProgress?.(percent),
    }
    return (await Promise.race([handle(input, context), rejection(controller.signal)])) as Infer<O>
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', onCancel)
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
