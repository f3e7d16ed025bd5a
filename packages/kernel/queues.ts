import { CloudError, sysErrors } from './errors.ts'

/** What an operator may see of one waiting or running piece of work. */
export interface QueueEntry {
  readonly key: string
  readonly label: string
  readonly running: boolean
  readonly sinceMs: number
}

interface Waiting {
  readonly label: string
  readonly enqueuedAtMs: number
  startedAtMs: number | undefined
  readonly start: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Runs work on the same key one after the other in arrival order, work on different keys at the same time.
 * This is how a resource is serialised: no locks, one queue for each resource, gone when empty.
 */
export class KeyedQueues {
  readonly #queues = new Map<string, Waiting[]>()

  /** Runs `work` when everything queued earlier under `key` has ended. `label` is shown to operators. */
  run<T>(key: string, label: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const queue = this.#queues.get(key) ?? []
      const entry: Waiting = {
        label,
        enqueuedAtMs: Date.now(),
        startedAtMs: undefined,
        reject,
        start: () => {
          entry.startedAtMs = Date.now()
          // The work's own promise settles the caller; the queue only needs to know that it ended.
          const running = (async () => work())()
          running.then(resolve, reject).finally(() => this.#next(key))
        },
      }
      queue.push(entry)
      if (queue.length === 1) {
        this.#queues.set(key, queue)
        entry.start()
        return
      }
      signal?.addEventListener('abort', () => this.#cancel(key, entry), { once: true })
    })
  }

  /** Everything that waits or runs now, oldest first for each key. */
  entries(): QueueEntry[] {
    const now = Date.now()
    return [...this.#queues].flatMap(([key, queue]) =>
      queue.map((e) => ({
        key,
        label: e.label,
        running: e.startedAtMs !== undefined,
        sinceMs: now - (e.startedAtMs ?? e.enqueuedAtMs),
      })),
    )
  }

  #next(key: string): void {
    const queue = this.#queues.get(key)
    if (queue === undefined) return
    queue.shift()
    const following = queue[0]
    if (following === undefined) this.#queues.delete(key)
    else following.start()
  }

  #cancel(key: string, entry: Waiting): void {
    if (entry.startedAtMs !== undefined) return
    const queue = this.#queues.get(key)
    const at = queue?.indexOf(entry) ?? -1
    if (queue === undefined || at < 0) return
    queue.splice(at, 1)
    entry.reject(
      new CloudError(sysErrors.cancelled, `${entry.label} was cancelled while it waited for ${key}`),
    )
  }
}

/** Lets at most `limit()` pieces of work run at the same time; the rest wait in arrival order. */
export class Limiter {
  #running = 0
  readonly #waiting: (() => void)[] = []
  readonly #limit: () => number

  /** `limit` is read each time, so that a configuration change takes effect at once. */
  constructor(limit: () => number) {
    this.#limit = limit
  }

  get waiting(): number {
    return this.#waiting.length
  }

  get running(): number {
    return this.#running
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    // Woken work competes with work that arrives in the same turn, hence a loop and not an `if`.
    while (this.#running >= this.#limit()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#running += 1
    try {
      return await work()
    } finally {
      this.#running -= 1
      if (this.#running < this.#limit()) this.#waiting.shift()?.()
    }
  }
}
