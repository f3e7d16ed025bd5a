/**
 * To be loaded before a program that is to work while its clock jumps: `node --import …/shifted-clock.ts program`, with a channel to its parent.
 * A message `{ shiftMs }` sets how far the clock is off from then on. Time that passes (performance.now, timers) is not touched,
 * as an operating system's monotonic clock is not when its clock is set.
 */
const Real = Date
let shiftMs = 0

class ShiftedDate extends Real {
  constructor(...args: readonly unknown[]) {
    // The constructor's overloads cannot be spread into.
    super(...((args.length === 0 ? [Real.now() + shiftMs] : args) as [number]))
  }

  static override now(): number {
    return Real.now() + shiftMs
  }
}

globalThis.Date = ShiftedDate as DateConstructor
process.on('message', (message: { readonly shiftMs?: number }) => {
  if (message.shiftMs === undefined) return
  shiftMs = message.shiftMs
  process.send?.({ shifted: shiftMs })
})
// The channel alone keeps no program alive.
process.channel?.unref()
