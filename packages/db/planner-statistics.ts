import type { DatabaseSync } from 'node:sqlite'

const INTERVAL_MS = 600_000
const FIRST_WRITES = 2_000
// Each time every statement is planned anew, which takes some 20 ms in all.
const GROWTH = 4
const SAMPLED_ROWS = 5_000
// Other connections read statistics together with the schema, and that only when it has changed.
const NEW_SCHEMA = 'BEGIN; CREATE VIEW zstack_statistics AS SELECT 1; DROP VIEW zstack_statistics; COMMIT'

/**
 * Lets the planner know which indexes tell much and which little: of two equalities it knows nothing about it takes any, and one may
 * be true of all rows there are. Tables that grew tenfold since the last time are sampled anew, others cost nothing.
 */
export class PlannerStatistics {
  readonly #writer: DatabaseSync
  readonly #timer: NodeJS.Timeout
  #nextAt = FIRST_WRITES

  constructor(writer: DatabaseSync) {
    this.#writer = writer
    this.#timer = setInterval(() => this.#refresh(), INTERVAL_MS).unref()
  }

  /** Told after commits how many writes there have been: a database that grows fast is not left without for long. */
  grown(writes: number): void {
    if (writes < this.#nextAt) return
    this.#nextAt = writes * GROWTH
    this.#refresh()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #refresh(): void {
    if (this.#writer.isTransaction) return
    try {
      // Of all tables: those that are read most are read by another connection.
      this.#writer.exec(`PRAGMA analysis_limit=${SAMPLED_ROWS}; PRAGMA optimize=0x10002`)
      this.#writer.exec(NEW_SCHEMA)
    } catch {
      if (this.#writer.isTransaction) this.#writer.exec('ROLLBACK')
      // Without room for statistics it plans as before; whoever writes something that matters is told of the full disk.
    }
  }
}
