import { AsyncLocalStorage } from 'node:async_hooks'

interface Bound {
  readonly atMs: number
  ended: boolean
}

const storage = new AsyncLocalStorage<Bound | undefined>()

/**
 * When the caller of this code gives up, on the clock of `performance.now()`; undefined when nobody does. What it asks of others
 * must be answered by then.
 */
export function currentDeadlineMs(): number | undefined {
  const bound = storage.getStore()
  return bound === undefined || bound.ended ? undefined : bound.atMs
}

/** Runs `work` for a caller that gives up at `atMs`. What the work leaves behind is not bound any more once it has ended. */
export async function withDeadline<T>(atMs: number, work: () => Promise<T>): Promise<T> {
  const bound: Bound = { atMs, ended: false }
  try {
    return await storage.run(bound, work)
  } finally {
    bound.ended = true
  }
}

/** Runs work that must come to its end whether its caller waits or not: a job that was accepted, a way back. */
export function withoutDeadline<T>(work: () => T): T {
  return storage.run(undefined, work)
}
