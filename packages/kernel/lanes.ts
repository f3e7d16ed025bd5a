import { CloudError, sysErrors } from './errors.ts'
import type { QueueEntry } from './queues.ts'
import { currentTask } from './task.ts'

interface Work {
  readonly label: string
  readonly taskId: string | undefined
  sinceMs: number
  begin: () => void
}

interface Lane {
  limit: () => number
  readonly running: Set<Work>
  /** In the order of arrival. */
  readonly waiting: Set<Work>
}

/**
 * Bounds how much is asked of one host, storage or image server at the same time: a lane for each, first come first served, gone
 * when empty. Unlike a KeyedQueue it orders nothing. Work in a lane may enter a lane closer to the machine, never one of its own kind.
 */
export class Lanes {
  readonly #lanes = new Map<string, Lane>()

  /**
   * Runs `work` when fewer than `limit()` others run under `key`. `limit` is read whenever work arrives or ends, and at `admit`. Work
   * whose `signal` fires while it waits is never run; the promise then rejects with SYS.1017. `label` is shown to operators.
   */
  async run<T>(key: string, limit: () => number, work: LaneWork<T>): Promise<T> {
    const { label, signal } = work
    if (signal?.aborted === true) throw cancelled(label, key)
    const lane = this.#lanes.get(key) ?? { limit, running: new Set(), waiting: new Set() }
    this.#lanes.set(key, lane)
    lane.limit = limit
    const own: Work = { label, taskId: currentTask()?.id, sinceMs: performance.now(), begin: none }
    // Mostly there is room.
    if (lane.waiting.size === 0 && lane.running.size < limit()) lane.running.add(own)
    else await this.#turnOf(key, lane, own, signal)
    try {
      return await work.run()
    } finally {
      lane.running.delete(own)
      startNext(lane)
      this.#forgetEmpty(key, lane)
    }
  }

  /** Starts as much waiting work as the limits allow now: for when one has grown. */
  admit(): void {
    for (const lane of this.#lanes.values()) startNext(lane)
  }

  /** Everything that runs or waits now; in each lane what runs comes first, the rest in its order. */
  entries(): QueueEntry[] {
    const now = performance.now()
    const shown = (key: string, running: boolean, { label, taskId, sinceMs }: Work): QueueEntry => {
      return { key, label, taskId, running, sinceMs: Math.round(now - sinceMs) }
    }
    return [...this.#lanes].flatMap(([key, { running, waiting }]) => [
      ...[...running].map((work) => shown(key, true, work)),
      ...[...waiting].map((work) => shown(key, false, work)),
    ])
  }

  #turnOf(key: string, lane: Lane, work: Work, signal: AbortSignal | undefined): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const cancel = () => {
        if (!lane.waiting.delete(work)) return
        reject(cancelled(work.label, key))
        this.#forgetEmpty(key, lane)
      }
      work.begin = () => {
        signal?.removeEventListener('abort', cancel)
        resolve()
      }
      signal?.addEventListener('abort', cancel, { once: true })
      lane.waiting.add(work)
      // The limit may have grown since the last of them began.
      startNext(lane)
    })
  }

  #forgetEmpty(key: string, lane: Lane): void {
    if (lane.running.size + lane.waiting.size === 0 && this.#lanes.get(key) === lane) this.#lanes.delete(key)
  }
}

export interface LaneWork<T> {
  readonly label: string
  readonly signal?: AbortSignal | undefined
  run(): Promise<T>
}

/** The slot is taken here, so that nobody can jump the queue. */
function startNext(lane: Lane): void {
  for (const next of lane.waiting) {
    if (lane.running.size >= lane.limit()) return
    lane.waiting.delete(next)
    lane.running.add(next)
    next.sinceMs = performance.now()
    next.begin()
  }
}

function cancelled(label: string, key: string): CloudError {
  return new CloudError(sysErrors.cancelled, `${label} was cancelled while it waited for ${key}`)
}

function none(): void {}
