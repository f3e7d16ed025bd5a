import type { Clock } from './clock.ts'

/** Time that passes only when a test says so. */
export interface VirtualClock extends Clock {
  /** Wakes what falls due on the way, each at its time. What it sends is under way when this returns. */
  pass(ms: number): void
}

export function createVirtualClock(): VirtualClock {
  let now = 1_000
  const alarms = new Set<{ readonly atMs: number; readonly wake: () => void }>()
  return {
    nowMs: () => now,
    wakeAfter: (afterMs, wake) => {
      const alarm = { atMs: now + afterMs, wake }
      alarms.add(alarm)
      return () => void alarms.delete(alarm)
    },
    pass: (ms) => {
      const end = now + ms
      for (;;) {
        const [next] = [...alarms].filter(({ atMs }) => atMs <= end).sort((a, b) => a.atMs - b.atMs)
        if (next === undefined) break
        alarms.delete(next)
        now = next.atMs
        next.wake()
      }
      now = end
    },
  }
}
