import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { CloudError } from '#kernel'
import { currentUnit, isInsideUnit, nestedWrite } from './current-unit.ts'
import type { Session, Tx, WriteGuard } from './database.ts'
import { translate } from './sqlite-errors.ts'
import { WriteStats } from './stats.ts'
import { databaseClosed, storageError } from './storage-errors.ts'

/** One write waiting for, or inside, a group commit. */
interface Unit {
  readonly work: (tx: Tx) => Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

interface Done {
  readonly unit: Unit
  readonly value: unknown
}

// Bounds how long the first caller of a group waits for the last one.
const MAX_UNITS_PER_COMMIT = 1_024

/**
 * Gathers the writes of concurrent callers into one transaction: each is a savepoint of its own (one that fails takes nothing
 * with it), and all share the one fsync. Nobody is told of success before the commit; when that fails, nobody is.
 */
export class GroupCommit {
  readonly stats = new WriteStats()
  readonly #connection: DatabaseSync
  readonly #session: Session
  readonly #beforeCommit: () => void
  // Prepared once: they run for every write.
  readonly #begin: StatementSync
  readonly #savepoint: StatementSync
  readonly #release: StatementSync
  readonly #commit: StatementSync
  /** Why the last unit that failed did. */
  #lastFailure = ''
  #guard: WriteGuard | undefined
  #pending: Unit[] = []
  #draining: Promise<void> | undefined
  /** Set when nothing may be acknowledged any more: SQLite refused to end a transaction, or the database was closed. */
  #refusal: CloudError | undefined

  /** `beforeCommit` makes way for the commit: readers end what they have open. */
  constructor(connection: DatabaseSync, session: Session, beforeCommit: () => void = () => {}) {
    this.#connection = connection
    this.#session = session
    this.#beforeCommit = beforeCommit
    this.#begin = connection.prepare('BEGIN IMMEDIATE')
    this.#savepoint = connection.prepare('SAVEPOINT unit')
    this.#release = connection.prepare('RELEASE unit')
    this.#commit = connection.prepare('COMMIT')
  }

  write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (isInsideUnit()) return Promise.reject(nestedWrite())
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal)
    this.stats.asked += 1
    return new Promise<T>((resolve, reject) => {
      this.#pending.push({ work, resolve: resolve as (value: unknown) => void, reject })
      this.#draining ??= this.#drain()
    })
  }

  guardWrites(guard: WriteGuard | undefined): void {
    this.#guard = guard
  }

  /** Refuses new writes and waits until those under way have ended. */
  async close(): Promise<void> {
    const draining = this.#draining
    this.#refusal ??= databaseClosed()
    await draining
  }

  async #drain(): Promise<void> {
    // Everything that arrives in this turn of the event loop goes into the first group.
    await nextTurn()
    while (this.#pending.length > 0) {
      const units = this.#pending.splice(0, MAX_UNITS_PER_COMMIT)
      const beganAtMs = performance.now()
      await this.#commitGroup(units)
      this.stats.groupEnded(units.length, performance.now() - beganAtMs)
      // Lets callers that were just answered bring their next write into the next group.
      await nextTurn()
    }
    this.#draining = undefined
  }

  async #commitGroup(units: readonly Unit[]): Promise<void> {
    const done: Done[] = []
    const refusal = await this.#beginGroup()
    if (refusal !== undefined) return refuseAll(units, refusal)
    for (const [i, unit] of units.entries()) {
      const result = await this.#runUnit(unit)
      if (result !== undefined) done.push(result)
      // A full disk or an I/O error may end the whole transaction: what ran before is gone, what follows has none to run in.
      if (this.#connection.isTransaction) continue
      const reason = `another write of the same group ended the transaction (${this.#lastFailure})`
      return refuseAll(
        [...done.map((d) => d.unit), ...units.slice(i + 1)],
        storageError('the database could not commit', reason),
      )
    }
    try {
      this.#beforeCommit()
      this.#commit.run()
    } catch (error) {
      this.#rollback()
      const failure = storageError('the database could not commit', error)
      return refuseAll(
        done.map((d) => d.unit),
        failure,
      )
    }
    for (const { unit, value } of done) unit.resolve(value)
  }

  /** The reason why nothing of the group may be written, or undefined. */
  async #beginGroup(): Promise<CloudError | undefined> {
    const guard = this.#guard
    try {
      this.#begin.run()
      if (guard === undefined || (await this.#session.run(guard.sql, guard.params)) > 0) return undefined
    } catch (error) {
      this.#rollback()
      return storageError('the database refuses to begin a transaction', error)
    }
    this.#rollback()
    return guard.refusal()
  }

  async #runUnit(unit: Unit): Promise<Done | undefined> {
    const scope = { open: true }
    const tx = this.#txOf(scope)
    try {
      this.#savepoint.run()
      const value = await currentUnit.run(scope, unit.work, tx)
      scope.open = false
      this.#release.run()
      return { unit, value }
    } catch (error) {
      scope.open = false
      unit.reject(translate(error))
      this.#lastFailure = error instanceof Error ? error.message : String(error)
      this.#undoUnit()
      return undefined
    }
  }

  /** What a unit left running when it ended must not write into its neighbours' transaction. */
  #txOf(scope: { readonly open: boolean }): Tx {
    const session = this.#session
    // Outside a transaction, a statement would be committed by itself.
    const usable = () => scope.open && this.#connection.isTransaction
    const over = () => Promise.reject(new Error('this tx is over: its write has ended'))
    return {
      writable: true,
      all: (sql, params) => (usable() ? session.all(sql, params) : over()),
      rows: (sql, params) => (usable() ? session.rows(sql, params) : over()),
      run: (sql, params) => (usable() ? session.run(sql, params) : over()),
      send: async (sql, params) => {
        await (usable() ? session.run(sql, params) : over())
      },
    }
  }

  #undoUnit(): void {
    if (!this.#connection.isTransaction) return
    try {
      this.#connection.exec('ROLLBACK TO unit; RELEASE unit')
    } catch {
      // The savepoint cannot be taken back alone (its failure was told to its caller), so the whole group is.
      this.#rollback()
    }
  }

  #rollback(): void {
    try {
      if (this.#connection.isTransaction) this.#connection.exec('ROLLBACK')
    } catch (error) {
      this.#refusal = storageError('the database could not roll back; restart the management node', error)
    }
  }
}

function refuseAll(units: readonly Unit[], error: CloudError): void {
  for (const unit of units) unit.reject(error)
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
