import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Disposable } from '#kernel'

const MIB = 2 ** 20

export interface IdleMemoryOptions {
  readonly intervalMs?: number
  /** Share of the time the event loop may be busy for the process to count as idle. */
  readonly busyShare?: number
  /** What the heap must have grown by since the last time for it to be worth the pause. */
  readonly growthBytes?: number
}

/**
 * Gives memory back to the system when there is nothing to do. V8 keeps the heap of the last burst for as long as nothing is allocated: a
 * node that has started, or answered 10,000 calls, would hold several times what it needs.
 */
export function returnIdleMemory(options: IdleMemoryOptions = {}): Disposable {
  const { intervalMs = 10_000, busyShare = 0.05, growthBytes = 24 * MIB } = options
  let collect: ((how: object) => void) | undefined
  let before = performance.eventLoopUtilization()
  let leftBytes = 0
  const look = () => {
    const { utilization } = performance.eventLoopUtilization(before)
    before = performance.eventLoopUtilization()
    if (utilization > busyShare || process.memoryUsage().heapTotal - leftBytes < growthBytes) return
    collect ??= collector()
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    leftBytes = process.memoryUsage().heapTotal
  }
  const timer = setInterval(look, intervalMs).unref()
  return { dispose: () => clearInterval(timer) }
}

/** V8 lets nobody collect garbage who did not ask for it at the start; contexts made after the flag is set can. */
function collector(): (how: object) => void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (how: object) => void
  setFlagsFromString('--no-expose-gc')
  return collect
}
