import type { Logger } from '#kernel'

/** Code of a process that was ended by a bug in it; whoever looks after it should start it anew. */
export const BUG = 70

/**
 * A failure nobody was there to take ends the process: what it left half done nobody in it knows, and the journal does. The log
 * keeps its stack.
 */
export function endOnBug(log: Logger): void {
  process.on('uncaughtException', (error, origin) => {
    const stack = error instanceof Error ? error.stack : String(error)
    log.error(
      { origin, stack },
      'the management node is ended by a bug; the next start, or another node, puts in order what it did',
    )
    process.exit(BUG)
  })
}
