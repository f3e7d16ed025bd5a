import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { CloudError } from '#kernel'
import { currentUnit } from './current-unit.ts'
import type { Session, SqlValue, Tx, WriteGuard } from './database.ts'
import { translate } from './sqlite-errors.ts'
import { notFlushed, storageError } from './storage-errors.ts'
import { type Unit, WriteLine } from './write-line.ts'

/** How a unit ended inside a transaction that is not committed yet. */
type End = { readonly value: unknown } | { readonly error: unknown }

interface GroupRun {
  readonly next: 'commit' | 'run in savepoints' | 'tell'
  readonly ends: readonly End[]
}

interface Scope {
  open: boolean
  hasChanged: boolean
}

/** What goes on around a commit. */
export interface Commits {
  /** Goes ahead of it: from now on readers see what was committed before. */
  hold(): void
  /** Resolves when what was committed survives a power cut. */
  flush(): Promise<void>
  /** The commit is flushed, or was none: readers see all there is. */
  release(): void
}

const MAX_UNITS_PER_COMMIT = 1_024

/**
 * Gathers the writes of concurrent callers into one transaction; all share one commit and one flush. Nobody is told of success
 * before both; when one fails, nobody is. A unit that fails takes nothing with it: mostly it has changed nothing by then; else the
 * transaction is given up, and all its units run once more, each in a savepoint of its own.
 */
export class GroupCommit {
  /** Where writes are asked for. */
  readonly line = new WriteLine(MAX_UNITS_PER_COMMIT, (take) => this.#commitGroup(take()))
  readonly #connection: DatabaseSync
  readonly #session: Session
  readonly #commits: Commits
  // Prepared once: they run for every write.
  readonly #begin: StatementSync
  readonly #savepoint: StatementSync
  readonly #release: StatementSync
  readonly #commit: StatementSync
  #guard: WriteGuard | undefined

  constructor(connection: DatabaseSync, session: Session, commits: Commits) {
    this.#connection = connection
    this.#session = session
    this.#commits = commits
    this.#begin = connection.prepare('BEGIN IMMEDIATE')
    this.#savepoint = connection.prepare('SAVEPOINT unit')
    this.#release = connection.prepare('RELEASE unit')
    this.#commit = connection.prepare('COMMIT')
  }

  guardWrites(guard: WriteGuard | undefined): void {
    this.#guard = guard
  }

  async #commitGroup(units: readonly Unit[]): Promise<void> {
    let run = await this.#runGroup(units, false)
    if (run.next === 'run in savepoints') run = await this.#runGroup(units, true)
    const failure = run.next === 'commit' ? await this.#commitAndFlush() : undefined
    for (const [i, unit] of units.entries()) {
      const end = run.ends[i] as End
      // Also who failed decided on what was not committed.
      if (failure !== undefined) unit.reject(failure)
      else if ('error' in end) unit.reject(translate(end.error))
      else unit.resolve(end.value)
    }
  }

  /** Runs the units in a transaction, which is open afterwards only when it can be committed. */
  async #runGroup(units: readonly Unit[], inSavepoints: boolean): Promise<GroupRun> {
    const refusal = await this.#beginGroup()
    if (refusal !== undefined) return { next: 'tell', ends: units.map(() => ({ error: refusal })) }
    const ends: End[] = []
    for (const [i, unit] of units.entries()) {
      const scope = { open: true, hasChanged: false }
      const end = inSavepoints ? await this.#runInSavepoint(unit, scope) : await this.#runUnit(unit, scope)
      ends.push(end)
      // A full disk or an I/O error may end the whole transaction: what ran before is gone, what follows has none to run in.
      if (!this.#connection.isTransaction) return { next: 'tell', ends: lostAt(i, end, units) }
      if (!('error' in end) || inSavepoints || !scope.hasChanged) continue
      this.#rollback()
      return { next: 'run in savepoints', ends }
    }
    return { next: 'commit', ends }
  }

  /** The reason why what was done may not be told as done, or undefined. */
  async #commitAndFlush(): Promise<CloudError | undefined> {
    try {
      this.#commits.hold()
      this.#commit.run()
    } catch (error) {
      this.#rollback()
      this.#commits.release()
      return storageError('the database could not commit', error)
    }
    try {
      await this.#commits.flush()
      return undefined
    } catch (error) {
      // What the disk has of it nobody can tell, and asking it again proves nothing: it reports a failure only once.
      const refusal = notFlushed(error)
      this.line.refuse(refusal)
      return refusal
    } finally {
      this.#commits.release()
    }
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

  async #runUnit(unit: Unit, scope: Scope): Promise<End> {
    try {
      return { value: await currentUnit.run(scope, unit.work, this.#txOf(scope)) }
    } catch (error) {
      return { error }
    } finally {
      scope.open = false
    }
  }

  async #runInSavepoint(unit: Unit, scope: Scope): Promise<End> {
    try {
      this.#savepoint.run()
      const end = await this.#runUnit(unit, scope)
      if ('error' in end) this.#undoUnit()
      else this.#release.run()
      return end
    } catch (error) {
      this.#undoUnit()
      return { error }
    }
  }

  /** What a unit left running when it ended must not write into its neighbours' transaction. */
  #txOf(scope: Scope): Tx {
    const session = this.#session
    // Outside a transaction, a statement would be committed by itself.
    const usable = () => scope.open && this.#connection.isTransaction
    const over = () => Promise.reject(new Error('this tx is over: its write has ended'))
    const run = async (sql: string, params: readonly SqlValue[]) => {
      if (!usable()) return over()
      const count = await session.run(sql, params)
      scope.hasChanged ||= count > 0
      return count
    }
    return {
      writable: true,
      all: (sql, params) => (usable() ? session.all(sql, params) : over()),
      rows: (sql, params) => (usable() ? session.rows(sql, params) : over()),
      run,
      send: async (sql, params) => void (await run(sql, params)),
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
      this.line.refuse(storageError('the database could not roll back; restart the management node', error))
    }
  }
}

/** The ends of a group whose transaction was lost at one of its units. */
function lostAt(at: number, end: End, units: readonly Unit[]): End[] {
  const why = 'error' in end && end.error instanceof Error ? end.error.message : 'for no reason it told'
  const reason = `another write of the same group ended the transaction (${why})`
  const lost = { error: storageError('the database could not commit', reason) }
  return units.map((_, i) => (i === at && 'error' in end ? end : lost))
}
