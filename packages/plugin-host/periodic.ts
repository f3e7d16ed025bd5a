import { describeError, type Logger } from '#kernel'

// An interval that was made shorter counts for the wait that is under way too.
const LOOK_MS = 10_000

/** Starts a repeated job; the returned function stops it after the run under way. */
export function repeat(
  name: string,
  seconds: () => number,
  work: () => Promise<void>,
  log: Logger,
): () => Promise<void> {
  let running: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout
  let stopped = false
  const wait = (waitedMs: number) => {
    const leftMs = Math.max(0, seconds() * 1000 - waitedMs)
    const next = () => (leftMs <= LOOK_MS ? tick() : wait(waitedMs + LOOK_MS))
    timer = setTimeout(next, Math.min(leftMs, LOOK_MS)).unref()
  }
  const tick = () => {
    running = (async () => work())()
      .catch((error) => log.error({ job: name, err: describeError(error) }, 'a periodic job failed'))
      .then(() => {
        if (!stopped) wait(0)
      })
  }
  wait(0)
  return async () => {
    stopped = true
    clearTimeout(timer)
    await running
  }
}
