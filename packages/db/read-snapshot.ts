import type { DatabaseSync, StatementSync } from 'node:sqlite'

/**
 * One read transaction for all the statements between two commits: beginning one for each statement costs more than most
 * statements do. While a commit is not flushed yet it is held, so that nobody reads what a power cut may take away. Else it ends
 * with the turn of the event loop, so that nothing old is held while nobody reads.
 */
export class ReadSnapshot {
  readonly #connection: DatabaseSync
  #anything: StatementSync | undefined
  #isOpen = false
  #isHeld = false
  #forget: () => void = () => {}

  constructor(connection: DatabaseSync) {
    this.#connection = connection
  }

  /** `forget` is called whenever what was read may no longer be so. */
  onEnd(forget: () => void): void {
    this.#forget = forget
  }

  open(): void {
    if (this.#isOpen) return
    this.#connection.exec('BEGIN')
    this.#isOpen = true
    setImmediate(() => this.end())
  }

  /** Keeps readers at what is committed now, until `release`. */
  hold(): void {
    this.open()
    // A transaction sees what was committed when it first read.
    this.#anything ??= this.#connection.prepare('SELECT 1 FROM sqlite_schema LIMIT 1')
    this.#anything.get()
    this.#isHeld = true
  }

  release(): void {
    this.#isHeld = false
    this.end()
  }

  end(): void {
    if (!this.#isOpen || this.#isHeld) return
    this.#isOpen = false
    this.#forget()
    this.#connection.exec('COMMIT')
  }
}
