import { CloudError, sysErrors } from '#kernel'

interface Caller {
  readonly signal: AbortSignal
  progress(percent: number): void
}

interface Running<T> {
  /** What exactly is being made; a caller who wants something else under the same key is refused. */
  readonly fingerprint: string
  readonly callers: Set<Caller>
  readonly abort: AbortController
  readonly result: Promise<T>
  percent: number
}

/** Lets callers who want the same thing share one piece of work. It is aborted when the last of them has left. */
export class SharedWork<T> {
  readonly #running = new Map<string, Running<T>>()

  /**
   * Joins the work under `key` or starts it. `work` gets a signal of its own and reports progress to every caller. A caller
   * whose signal aborts leaves with SYS.1017 at once; the last one waits until the work has cleaned up.
   */
  async run(
    key: string,
    fingerprint: string,
    caller: Caller,
    work: (shared: Caller) => Promise<T>,
  ): Promise<T> {
    let running = this.#running.get(key)
    while (running?.abort.signal.aborted === true) {
      // It is being undone; its failure belongs to those who left it.
      await running.result.catch(() => undefined)
      running = this.#running.get(key)
    }
    if (running === undefined) running = this.#start(key, fingerprint, work)
    else if (running.fingerprint !== fingerprint) {
      throw new CloudError(
        sysErrors.operationFailed,
        `${key} is being made from another source at this moment`,
      )
    }
    return await this.#join(key, running, caller)
  }

  #start(key: string, fingerprint: string, work: (shared: Caller) => Promise<T>): Running<T> {
    const abort = new AbortController()
    const callers = new Set<Caller>()
    const progress = (percent: number) => {
      const whole = Math.max(0, Math.min(100, Math.floor(percent)))
      if (whole <= running.percent) return
      running.percent = whole
      for (const caller of callers) caller.progress(whole)
    }
    // Not before this function has returned: the work may report progress, or fail, in its first breath.
    const result = Promise.resolve()
      .then(() => work({ signal: abort.signal, progress }))
      .finally(() => this.#running.delete(key))
    // Callers that left do not listen any more; the others get the failure through their own await.
    result.catch(() => undefined)
    const running: Running<T> = { fingerprint, callers, abort, result, percent: -1 }
    this.#running.set(key, running)
    return running
  }

  async #join(key: string, running: Running<T>, caller: Caller): Promise<T> {
    running.callers.add(caller)
    if (running.percent >= 0) caller.progress(running.percent)
    let leave: () => void = () => {}
    const left = new Promise<'left'>((resolve) => {
      // At once, so that nobody joins work that is about to be given up.
      leave = () => {
        running.callers.delete(caller)
        if (running.callers.size === 0) running.abort.abort()
        resolve('left')
      }
      if (caller.signal.aborted) leave()
      else caller.signal.addEventListener('abort', leave, { once: true })
    })
    const settled = running.result.then(
      () => 'settled' as const,
      () => 'settled' as const,
    )
    const outcome = await Promise.race([left, settled])
    caller.signal.removeEventListener('abort', leave)
    running.callers.delete(caller)
    if (outcome === 'settled') return await running.result
    if (running.abort.signal.aborted) await settled
    throw new CloudError(sysErrors.cancelled, `waiting for ${key} was cancelled`)
  }
}
