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
  /** Stops listening to the caller's signal: started work sees the signal itself. */
  stopListening: () => void
}

/**
 * Runs work on the same key one after the other in arrival order, work on different keys at the same time.
 * This is how a resource is serialised: no locks, one queue for each resource, gone when empty.
 */
export class KeyedQueues {
  readonly #queues = new Map<string, Waiting[]>()

  /**
   * Runs `work` when everything queued earlier under `key` has ended. `label` is shown to operators. Work whose `signal` fires
   * before it starts is never run; the promise then rejects with SYS.1017.
   */
  run<T>(key: string, label: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted === true) return Promise.reject(cancelled(label, key))
    return new Promise<T>((resolve, reject) => {
      const queue = this.#queues.get(key) ?? []
      const entry: Waiting = {
        label,
        enqueuedAtMs: Date.now(),
        startedAtMs: undefined,
        reject,
        stopListening: () => {},
        start: () => {
          entry.startedAtMs = Date.now()
          entry.stopListening()
          // The queue moves on first, so that who is told of the end no longer sees the work in it.
          const running = (async () => work())()
          running.finally(() => this.#next(key)).then(resolve, reject)
        },
      }
      queue.push(entry)
      if (queue.length === 1) {
        this.#queues.set(key, queue)
        entry.start()
        return
      }
      if (signal === undefined) return
      const cancel = () => this.#cancel(key, entry)
      signal.addEventListener('abort', cancel, { once: true })
      entry.stopListening = () => signal.removeEventListener('abort', cancel)
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
    entry.reject(cancelled(entry.label, key))
  }
}

function cancelled(label: string, key: string): CloudError {
  return new CloudError(sysErrors.cancelled, `${label} was cancelled while it waited for ${key}`)
}

/** Lets at most `limit()` pieces of work run at the same time; the rest wait and start in arrival order. */
export class Limiter {
  #running = 0
  readonly #waiting: (() => void)[] = []
  readonly #limit: () => number

  /** `limit` is read whenever work arrives or ends; call `admit` when it grew and neither may happen soon. */
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
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve)
      this.admit()
    })
    try {
      return await work()
    } finally {
      this.#running -= 1
      this.admit()
    }
  }

  /** Starts as much waiting work as the limit allows now. The slot is taken here, so that nobody can jump the queue. */
  admit(): void {
    while (this.#waiting.length > 0 && this.#running < this.#limit()) {
      this.#running += 1
      this.#waiting.shift()?.()
    }
  }
}
