/**
 * Milliseconds since the epoch that run evenly as long as the process lives: its clock when it started and the time that has passed
 * since. For deciding when something is over, where a clock that is set forward must not end it early, nor one that is set back
 * keep it. What people read is stamped with `Date.now()`.
 */
export function steadyNow(): number {
  return Math.floor(performance.timeOrigin + performance.now())
}
