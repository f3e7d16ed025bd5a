import { Timing } from '#kernel'

/** What a database has done since the process began; only grows. */
export class DatabaseStats {
  statements = 0
  /** Writes that were asked for, and those that have ended, well or not. */
  unitsAsked = 0
  unitsEnded = 0
  /** From the beginning of a transaction to the end of its commit, once for each group of units. */
  readonly groups = new Timing()

  groupEnded(units: number, ms: number): void {
    this.unitsEnded += units
    this.groups.add(ms, false)
  }
}
