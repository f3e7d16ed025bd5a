import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { Disposable } from '#kernel'

const RESOLUTION_MS = 20

/** How late the event loop comes to what is due. */
export interface EventLoopMeter extends Disposable {
  /** Since the last reading, milliseconds; the part of the time it was busy, 0 to 1. */
  read(): { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number; readonly busy: number }
}

/** Each reader has its own: a reading begins a new period. Costs one timer of the runtime, no JavaScript. */
export function createEventLoopMeter(): EventLoopMeter {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delays.enable()
  let before = performance.eventLoopUtilization()
  // What is measured is the time between two beats, which is the resolution when nothing is late.
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
  return {
    read: () => {
      const isEmpty = delays.count === 0
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      const reading = {
        p50Ms: isEmpty ? 0 : late(delays.percentile(50)),
        p99Ms: isEmpty ? 0 : late(delays.percentile(99)),
        maxMs: isEmpty ? 0 : late(delays.max),
        busy: utilization,
      }
      delays.reset()
      return reading
    },
    dispose: () => void delays.disable(),
  }
}
