import { type Timing, Timings } from '#kernel'

/** What API calls and messages took in this process, by name. */
export class Meters {
  /** From the moment a call is accepted to its end, waiting included. */
  readonly succeeded = new Timings()
  readonly failed = new Timings()
  /** Calls that were refused before anything of them ran; no time is kept. */
  readonly refused = new Timings()
  /** In their handlers; waiting for the queue is not included. */
  readonly messages = new Timings()

  async api<T>(name: string, work: () => Promise<T>): Promise<T> {
    const beganAtMs = performance.now()
    let outcome = this.failed
    try {
      const reply = await work()
      outcome = this.succeeded
      return reply
    } finally {
      outcome.of(name).add(performance.now() - beganAtMs, outcome === this.failed)
    }
  }
}

/** The same handler, timed. */
export function timed<I, O>(timing: Timing, handler: (input: I) => Promise<O>): (input: I) => Promise<O> {
  return async (input) => {
    const beganAtMs = performance.now()
    let hasFailed = true
    try {
      const output = await handler(input)
      hasFailed = false
      return output
    } finally {
      timing.add(performance.now() - beganAtMs, hasFailed)
    }
  }
}
