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
  const arm = () => {
    const begunAtMs = performance.now()
    const wait = () => {
      const leftMs = begunAtMs + seconds() * 1000 - performance.now()
      timer = setTimeout(leftMs <= LOOK_MS ? tick : wait, Math.min(Math.max(leftMs, 0), LOOK_MS)).unref()
    }
    wait()
  }
  const tick = () => {
    running = (async () => work())()
      .catch((error) => log.error({ job: name, err: describeError(error) }, 'a periodic job failed'))
      .then(() => {
        if (!stopped) arm()
      })
  }
  arm()
  return async () => {
    stopped = true
    clearTimeout(timer)
    await running
  }
}
