import { AsyncLocalStorage } from 'node:async_hooks'
import { CloudError, sysErrors } from './errors.ts'
import { currentTask } from './task.ts'

/** What an operator may see of one waiting or running piece of work. */
export interface QueueEntry {
  readonly key: string
  readonly label: string
  /** The API call it is part of. */
  readonly taskId: string | undefined
  readonly running: boolean
  /** How long it has run, or waited when it does not run yet. */
  readonly sinceMs: number
}

interface Waiting {
  readonly label: string
  readonly taskId: string | undefined
  readonly enqueuedAtMs: number
  startedAtMs: number | undefined
  readonly start: () => void
  readonly reject: (error: unknown) => void
  /** Stops listening to the caller's signal: started work sees the signal itself. */
  stopListening: () => void
}

/** Work under way in a queue, and the work that called it. */
interface Holder {
  readonly queues: KeyedQueues
  readonly key: string
  readonly label: string
  ended: boolean
  readonly outer: Holder | undefined
}

const holders = new AsyncLocalStorage<Holder>()

/** Keys of the queues the current work is in, outermost first. */
export function heldKeys(): string[] {
  const keys: string[] = []
  for (let at = holders.getStore(); at !== undefined; at = at.outer) if (!at.ended) keys.unshift(at.key)
  return keys
}

/** Runs work for a caller that is in these queues, perhaps in another process: work that asks for one of them would wait for itself. */
export function withHeldKeys<T>(queues: KeyedQueues, keys: readonly string[], work: () => T): T {
  let holder: Holder | undefined
  for (const key of keys) holder = { queues, key, label: 'work of another node', ended: false, outer: holder }
  return holder === undefined ? work() : holders.run(holder, work)
}

/**
 * Runs work on the same key one after the other in arrival order, work on different keys at the same time.
 * This is how a resource is serialised: no locks, one queue for each resource, gone when empty.
 */
export class KeyedQueues {
  readonly #queues = new Map<string, Waiting[]>()

  /**
   * Runs `work` when everything queued earlier under `key` has ended. `label` is shown to operators. Work whose `signal` fires
   * before it starts is never run; the promise then rejects with SYS.1017. Work that asks for a queue it is itself in would wait
   * for its own end: that is a bug, and rejected at once with an Error that names both.
   */
  run<T>(key: string, label: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted === true) return Promise.reject(cancelled(label, key))
    const outer = holders.getStore()
    const same = this.#holderOf(key, outer)
    if (same !== undefined) return Promise.reject(waitsForItself(label, key, same))
    return new Promise<T>((resolve, reject) => {
      const queue = this.#queues.get(key) ?? []
      const entry: Waiting = {
        label,
        taskId: currentTask()?.id,
        enqueuedAtMs: performance.now(),
        startedAtMs: undefined,
        reject,
        stopListening: () => {},
        start: () => {
          entry.startedAtMs = performance.now()
          entry.stopListening()
          begin()
        },
      }
      let begin: () => void = () => void this.#execute({ key, label, outer }, work).then(resolve, reject)
      queue.push(entry)
      if (queue.length === 1) {
        this.#queues.set(key, queue)
        entry.start()
        return
      }
      // Work that waited is started by the work before it, yet belongs to the task of its own caller, as `then` does.
      const turn = Promise.withResolvers<void>()
      void turn.promise.then(begin)
      begin = turn.resolve
      if (signal === undefined) return
      const cancel = () => this.#cancel(key, entry)
      signal.addEventListener('abort', cancel, { once: true })
      entry.stopListening = () => signal.removeEventListener('abort', cancel)
    })
  }

  /** Keys that anything waits or runs for. */
  keys(): string[] {
    return [...this.#queues.keys()]
  }

  /** Resolves when nothing that is queued for `key` now waits or runs any more. */
  async idle(key: string): Promise<void> {
    if (this.#queues.has(key)) await this.run(key, 'hand-over', async () => {})
  }

  /** Everything that waits or runs now, oldest first for each key. */
  entries(): QueueEntry[] {
    const now = performance.now()
    return [...this.#queues].flatMap(([key, queue]) =>
      queue.map((e) => ({
        key,
        label: e.label,
        taskId: e.taskId,
        running: e.startedAtMs !== undefined,
        sinceMs: Math.round(now - (e.startedAtMs ?? e.enqueuedAtMs)),
      })),
    )
  }

  /** Runs work whose turn has come. The queue moves on first, so that who is told of the end no longer sees the work in it. */
  #execute<T>(what: Pick<Holder, 'key' | 'label' | 'outer'>, work: () => Promise<T>): Promise<T> {
    const holder: Holder = { ...what, queues: this, ended: false, outer: running(what.outer) }
    return holders
      .run(holder, async () => work())
      .finally(() => {
        holder.ended = true
        this.#next(what.key)
      })
  }

  /** The work in the queue of `key` that the caller is part of. What it left behind when it ended may queue again. */
  #holderOf(key: string, from: Holder | undefined): Holder | undefined {
    for (let at = from; at !== undefined; at = at.outer)
      if (at.key === key && at.queues === this && !at.ended) return at
    return undefined
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

/** The innermost that has not ended: timers and streams begun in ended work must not keep a chain of it. */
function running(holder: Holder | undefined): Holder | undefined {
  let at = holder
  while (at?.ended === true) at = at.outer
  return at
}

function waitsForItself(label: string, key: string, holder: Holder): Error {
  return new Error(
    `${label} waits for the queue ${key}, in which ${holder.label} waits for it: neither would ever end`,
  )
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
