import { close, fdatasync, openSync } from 'node:fs'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { promisify } from 'node:util'

// About 16 MB of 4 KiB pages: a page that changes with every write is then moved once for many changes.
const LONG_PAGES = 4_000

const flush = promisify(fdatasync)
const closeFile = promisify(close)

/**
 * The log of an SQLite database in WAL mode with `synchronous=NORMAL`: SQLite writes to it and leaves it to us to flush it, which a
 * thread does while the event loop goes on. What was committed before a flush survives a power cut after it: the log is a row of
 * checksummed frames, so what a crash leaves of it is always its beginning. SQLite itself flushes it before it overwrites
 * anything.
 */
export class WriteAheadLog {
  readonly #file: string
  readonly #length: StatementSync
  readonly #move: StatementSync
  #descriptor: number | undefined

  constructor(file: string, writer: DatabaseSync) {
    this.#file = `${file}-wal`
    // While somebody reads, only a part could be moved at a commit, and the log would never begin anew.
    writer.exec('PRAGMA wal_autocheckpoint=0')
    this.#length = writer.prepare('PRAGMA wal_checkpoint(NOOP)')
    this.#move = writer.prepare('PRAGMA wal_checkpoint(PASSIVE)')
  }

  /** Resolves when all that is committed survives a power cut. Rejects when the disk refuses: nobody knows then what does. */
  async flush(): Promise<void> {
    // SQLite holds its locks on other files, so that closing this one costs it none.
    this.#descriptor ??= openSync(this.#file, 'r')
    await flush(this.#descriptor)
  }

  /** Moves it into the database when it has become long, so that it begins anew. Nobody reads or writes meanwhile. */
  shorten(): void {
    try {
      if (Number(this.#length.get()?.log) >= LONG_PAGES) this.#move.get()
    } catch {
      // A full disk: nothing is lost, it only stays long, and is tried again after the next commit.
    }
  }

  async close(): Promise<void> {
    if (this.#descriptor !== undefined) await closeFile(this.#descriptor)
    this.#descriptor = undefined
  }
}
