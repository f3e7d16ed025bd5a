/** Its time was up before it could be begun; it never will be. */
export class TooLate extends Error {}

/**
 * How far a node is with a call of another one. Whoever does the call and whoever hears that it was given up look at the same turn,
 * so that what is reported as not begun is never begun.
 */
export class Turn {
  /** On this node's clock. */
  readonly deadlineMs: number
  readonly #nowMs: () => number
  readonly #gaveUp = new AbortController()
  #state: 'waits' | 'begun' | 'passed on' = 'waits'

  constructor(deadlineMs: number, nowMs: () => number) {
    this.deadlineMs = deadlineMs
    this.#nowMs = nowMs
  }

  get state(): 'waits' | 'begun' | 'passed on' {
    return this.#state
  }

  /** Fires when the caller gave up. */
  get signal(): AbortSignal {
    return this.#gaveUp.signal
  }

  get isOver(): boolean {
    return this.#gaveUp.signal.aborted
  }

  /** Throws TooLate when it may not be begun any more. */
  begin(): void {
    this.#check()
    this.#state = 'begun'
  }

  /** For as long as `ask` takes another node is to say how far it is. */
  async passOn<T>(ask: () => Promise<T>): Promise<T> {
    this.#check()
    this.#state = 'passed on'
    try {
      return await ask()
    } finally {
      this.#state = 'waits'
    }
  }

  giveUp(): void {
    this.#gaveUp.abort()
  }

  #check(): void {
    if (this.isOver || this.#nowMs() >= this.deadlineMs) throw new TooLate()
  }
}
