import { Timing } from '#kernel'

/** What a database has done since the process began; only grows. */
export interface DatabaseStats {
  /** Statements run; with MariaDB round trips, which carry several. */
  readonly statements: number
  readonly writes: WriteStats
}

export class WriteStats {
  /** Writes that were asked for, and those that have ended, well or not. */
  asked = 0
  ended = 0
  /** From the beginning of a transaction to the end of its commit, once for each group of writes. */
  readonly groups = new Timing()

  groupEnded(writes: number, ms: number): void {
    this.ended += writes
    this.groups.add(ms, false)
  }
}
