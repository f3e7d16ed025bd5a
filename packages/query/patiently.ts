import { setTimeout } from 'node:timers/promises'
import { CloudError, sysErrors } from '#kernel'

// Longer than a database takes to elect new members after it lost some.
const PATIENCE_MS = 60_000
const ASK_AGAIN_MS = 200

/** Reads again while the database does not answer (SYS.1016), for a minute; throws what it failed with last. */
export async function patiently<T>(read: () => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  for (;;) {
    try {
      return await read()
    } catch (error) {
      const isOver = performance.now() - startedAt > PATIENCE_MS
      if (isOver || !(error instanceof CloudError) || error.code !== sysErrors.ioError.code) throw error
      await setTimeout(ASK_AGAIN_MS, undefined, { ref: false })
    }
  }
}
