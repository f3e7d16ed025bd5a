/** The time that deadlines are told by; tests bring their own. */
export interface Clock {
  /** On the scale of `performance.now()`. */
  nowMs(): number
  /** Calls `wake` once, after `afterMs`, unless what it returns was called before. */
  wakeAfter(afterMs: number, wake: () => void): () => void
}

export const realClock: Clock = {
  nowMs: () => performance.now(),
  wakeAfter: (afterMs, wake) => {
    const timer = setTimeout(wake, afterMs).unref()
    return () => clearTimeout(timer)
  },
}
