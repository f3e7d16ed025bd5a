import { describeError, type Logger } from '#kernel'

// A timer of Node fires at once when asked to wait longer.
const LONGEST_WAIT_MS = 2 ** 31 - 1

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
    timer = setTimeout(tick, Math.min(seconds() * 1000, LONGEST_WAIT_MS))
    timer.unref()
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
