import { steadyNow } from '#kernel'

/**
 * Slows down guessing: after five failures in a row an account name (known or not) is refused for a while that doubles with
 * each further failure, up to five minutes. Kept in memory: a restart forgives, which a guesser cannot cause.
 */
export class LoginThrottle {
  readonly #failures = new Map<string, { count: number; until: number }>()
  readonly #now: () => number

  constructor(now: () => number = steadyNow) {
    this.#now = now
  }

  /** Seconds to wait before the next try, 0 when it may be made now. */
  waitSeconds(name: string): number {
    const until = this.#failures.get(name)?.until ?? 0
    return Math.max(0, Math.ceil((until - this.#now()) / 1000))
  }

  failed(name: string): void {
    const count = (this.#failures.get(name)?.count ?? 0) + 1
    const pauseMs = count < 5 ? 0 : Math.min(300_000, 1000 * 2 ** (count - 5))
    // A flood of invented names must not fill the memory.
    if (this.#failures.size > 10_000) this.#failures.clear()
    this.#failures.set(name, { count, until: this.#now() + pauseMs })
  }

  succeeded(name: string): void {
    this.#failures.delete(name)
  }
}
