import type { ErrorBody } from '#kernel'

/** How a call ended, in its wire form. */
export type CallOutcome = { readonly output: unknown } | { readonly error: ErrorBody }

/** One peer that waits for the outcome of a call. */
export interface CallWaiter {
  /** Aborted when the peer has gone. */
  readonly gone: AbortSignal
  progress(percent: number): void
}

type Work = (signal: AbortSignal, progress: (percent: number) => void) => Promise<CallOutcome>

interface RunningCall {
  readonly waiters: Set<CallWaiter>
  readonly controller: AbortController
  outcome: Promise<CallOutcome>
}

/**
 * Runs each call id once: a repeat joins the running call or gets the remembered outcome. When the last peer that waits has gone
 * the work is told to stop; what a stopped call failed with is not remembered, so that a repeat runs anew.
 */
export class CallMemory {
  readonly #running = new Map<string, RunningCall>()
  readonly #ended = new Map<string, { readonly outcome: CallOutcome; readonly endedAtMs: number }>()
  readonly #keepMs: number
  readonly #keep: number
  #closing = false

  constructor(limits: { readonly keepMs?: number; readonly keep?: number } = {}) {
    this.#keepMs = limits.keepMs ?? 600_000
    this.#keep = limits.keep ?? 2_000
  }

  /**
   * Gives the outcome of the call `id`, running `work` (which never rejects) only when it neither runs nor is remembered. Throws when
   * the peer has gone before it began.
   */
  async run(id: string, waiter: CallWaiter, work: Work): Promise<CallOutcome> {
    for (;;) {
      const remembered = this.#recall(id)
      if (remembered !== undefined) return remembered
      const running = this.#running.get(id)
      // Its caller takes it for failed and may be taking it back already: what has not begun must not begin.
      if (waiter.gone.aborted && running === undefined) throw waiter.gone.reason
      const call = running ?? this.#start(id, work)
      const outcome = await this.#wait(call, waiter)
      const stopped = call.controller.signal.aborted && 'error' in outcome
      if (!stopped || this.#closing || waiter.gone.aborted || running === undefined) return outcome
    }
  }

  /** Tells everything that runs to stop; nothing is run anew from now on. */
  abortAll(reason: Error): void {
    this.#closing = true
    for (const call of this.#running.values()) call.controller.abort(reason)
  }

  /** Resolves when nothing runs any more. */
  async settled(): Promise<void> {
    await Promise.all([...this.#running.values()].map((call) => call.outcome))
  }

  #start(id: string, work: Work): RunningCall {
    const waiters = new Set<CallWaiter>()
    const controller = new AbortController()
    const progress = (percent: number) => {
      for (const waiter of waiters) waiter.progress(percent)
    }
    const call: RunningCall = { waiters, controller, outcome: Promise.resolve({ output: {} }) }
    this.#running.set(id, call)
    call.outcome = this.#perform(id, controller.signal, () => work(controller.signal, progress))
    return call
  }

  async #perform(id: string, signal: AbortSignal, work: () => Promise<CallOutcome>): Promise<CallOutcome> {
    // The peer that asked joins first, or it would miss progress reported at once.
    await Promise.resolve()
    const outcome = await work()
    this.#running.delete(id)
    if (!(signal.aborted && 'error' in outcome)) this.#remember(id, outcome)
    return outcome
  }

  async #wait(call: RunningCall, waiter: CallWaiter): Promise<CallOutcome> {
    const leave = () => {
      call.waiters.delete(waiter)
      if (call.waiters.size === 0) call.controller.abort(new Error('nobody waits for the answer any more'))
    }
    call.waiters.add(waiter)
    if (waiter.gone.aborted) leave()
    else waiter.gone.addEventListener('abort', leave, { once: true })
    try {
      return await call.outcome
    } finally {
      waiter.gone.removeEventListener('abort', leave)
    }
  }

  #recall(id: string): CallOutcome | undefined {
    const ended = this.#ended.get(id)
    return ended !== undefined && performance.now() - ended.endedAtMs <= this.#keepMs
      ? ended.outcome
      : undefined
  }

  /** The map is in order of ending, so what has to go lies in front. */
  #remember(id: string, outcome: CallOutcome): void {
    const now = performance.now()
    this.#ended.delete(id)
    this.#ended.set(id, { outcome, endedAtMs: now })
    for (const [oldest, { endedAtMs }] of this.#ended) {
      if (this.#ended.size <= this.#keep && now - endedAtMs <= this.#keepMs) return
      this.#ended.delete(oldest)
    }
  }
}
