import { setTimeout as pause } from 'node:timers/promises'
import { LabError } from './error.ts'

const POLL_MS = 15

/**
 * Resolves with the first value of `probe` that is neither false nor undefined; rejects naming `what`
 * otherwise.
 */
export async function waitUntil<T>(
  what: string,
  probe: () => T | false | undefined | Promise<T | false | undefined>,
  timeoutMs: number,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await probe()
    if (value !== false && value !== undefined) return value
    if (performance.now() > deadline) throw new LabError(`gave up after ${timeoutMs} ms waiting for ${what}`)
    await pause(POLL_MS)
  }
}
