import type { DatabaseSync } from 'node:sqlite'

/**
 * One read transaction for all the statements between two commits: beginning one for each statement costs more than most
 * statements do. It ends before every commit, so that readers see what was committed and the log can be moved into the
 * database, and in any case with the turn of the event loop, so that nothing old is held while nobody reads.
 */
export class ReadSnapshot {
  readonly #connection: DatabaseSync
  #isOpen = false
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

  end(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#forget()
    this.#connection.exec('COMMIT')
  }
}
