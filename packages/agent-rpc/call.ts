import type { Duplex } from 'node:stream'
import type { Infer, Shape } from '#contract'

/**
 * A command the management sends to an agent. It carries all it needs, may be repeated without harm (the agent answers a
 * repeated id from its memory, and the effect itself is idempotent), and holds only JSON.
 */
export interface AgentCall<I extends Shape = Shape, O extends Shape = Shape> {
  /** `vm.start`; also the path under /call/ on the wire. */
  readonly name: string
  readonly summary: string
  readonly input: I
  readonly output: O
  /** How long the management waits before it gives up, in milliseconds. */
  readonly timeoutMs: number
}

export type CallInput<C> = C extends AgentCall<infer I, Shape> ? Infer<I> : never
export type CallOutput<C> = C extends AgentCall<Shape, infer O> ? Infer<O> : never

/** Declares an agent command. Waits 60 s for an answer unless said otherwise. */
export function defineAgentCall<const I extends Shape, const O extends Shape>(spec: {
  readonly name: string
  readonly summary: string
  readonly input: I
  readonly output: O
  readonly timeoutMs?: number
}): AgentCall<I, O> {
  return { timeoutMs: 60_000, ...spec }
}

/** What a handler learns about the call it serves. */
export interface CallContext {
  readonly callId: string
  /** Id of the API call this work belongs to, for the logs. */
  readonly taskId: string | undefined
  /** Epoch of the cluster at which the caller sent it; 0 from a management that is alone. */
  readonly epoch: number
  readonly signal: AbortSignal
  /** Reports how far the work is, 0 to 100. */
  progress(percent: number): void
}

/** One handler for each declared call: a missing one does not compile, in the real agent and in the simulator alike. */
export type AgentHandlers<Calls extends Readonly<Record<string, AgentCall>>> = {
  readonly [K in keyof Calls]: (
    input: CallInput<Calls[K]>,
    context: CallContext,
  ) => Promise<CallOutput<Calls[K]>>
}

export interface CallOptions {
  /** Overrides the call's own limit, milliseconds. */
  readonly timeoutMs?: number
  /** For the agent's log; the current task's unless said otherwise. */
  readonly taskId?: string
  /** Same id = same call: a repeat gets the first answer. New when absent. */
  readonly callId?: string
  readonly signal?: AbortSignal
  readonly onProgress?: (percent: number) => void
}

/** How the management reaches one agent, real or simulated. */
export interface AgentClient {
  /**
   * Sends the command. A refusal comes back as the agent's own CloudError, silence as SYS.1001 or SYS.1016; CLUSTER.1001 means that
   * this node lost its place in the cluster, and that nothing was done.
   */
  call<I extends Shape, O extends Shape>(
    call: AgentCall<I, O>,
    input: Infer<I>,
    options?: CallOptions,
  ): Promise<Infer<O>>
  /** Opens an upgrade route of the agent, `/console/<vmUuid>`. Absent where there is no connection to open, as on simulated hosts. */
  openTunnel?(path: string): Promise<Duplex>
  close(): void
}

/** Something that happened on a host without being asked for: `{ name: 'vm.state', data: {...} }`. */
export interface AgentEvent {
  readonly name: string
  readonly atMs: number
  readonly data: Readonly<Record<string, unknown>>
}
