import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { CloudError, sysErrors } from '#kernel'
import type { Database, Session, SqlValue, Tx } from './database.ts'

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
const MAX_UNITS_PER_COMMIT = 256

/**
 * SQLite inside the process, in WAL mode with synchronous=FULL. One connection writes, another reads, so that a reader never
 * sees what is not committed. Writes of concurrent callers are gathered into one transaction: each is a savepoint of its own
 * (one that fails takes nothing with it), and all share the one fsync.
 */
export function openSqlite(file: string): Database {
  const writer = connect(file)
  writer.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL')
  const reader = connect(file)
  reader.exec('PRAGMA query_only=ON')
  const write = prepared(writer)
  const read = prepared(reader)
  const group = new GroupCommit(writer, { ...write, writable: true })
  return {
    dialect: 'sqlite',
    all: read.all,
    run: () => Promise.reject(new Error('a read session cannot change anything: use write()')),
    write: (unit) => group.write(unit),
    execute: async (sql) => writer.exec(sql),
    close: async () => {
      await group.idle()
      reader.close()
      writer.close()
    },
  }
}

function connect(file: string): DatabaseSync {
  const connection = new DatabaseSync(file, { enableForeignKeyConstraints: true, timeout: 5_000 })
  connection.exec('PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=1073741824')
  return connection
}

function prepared(connection: DatabaseSync): Session {
  const statements = new Map<string, StatementSync>()
  const prepare = (sql: string): StatementSync => {
    let statement = statements.get(sql)
    if (statement === undefined) {
      statement = connection.prepare(sql)
      // Conditions come in endless shapes; forget all rather than grow without end.
      if (statements.size >= 2_000) statements.clear()
      statements.set(sql, statement)
    }
    return statement
  }
  return {
    all: async (sql, params) => prepare(sql).all(...params) as Record<string, SqlValue>[],
    run: async (sql, params) => Number(prepare(sql).run(...params).changes),
  }
}

class GroupCommit {
  readonly #connection: DatabaseSync
  readonly #tx: Tx
  #pending: Unit[] = []
  #draining: Promise<void> | undefined
  /** Set when SQLite refused to end a transaction: nothing may be acknowledged any more. */
  #broken: CloudError | undefined

  constructor(connection: DatabaseSync, tx: Tx) {
    this.#connection = connection
    this.#tx = tx
  }

  write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#pending.push({ work, resolve: resolve as (value: unknown) => void, reject })
      this.#draining ??= this.#drain()
    })
  }

  async idle(): Promise<void> {
    while (this.#draining !== undefined) await this.#draining
  }

  async #drain(): Promise<void> {
    // Everything that arrives in this turn of the event loop goes into the first group.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#pending.length > 0) {
      await this.#commitGroup()
      // Lets callers that were just answered bring their next write into the next group.
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#draining = undefined
  }

  async #commitGroup(): Promise<void> {
    if (this.#broken !== undefined) return this.#refuseAll(this.#pending.splice(0), this.#broken)
    const done: Done[] = []
    const units = this.#pending.splice(0, MAX_UNITS_PER_COMMIT)
    try {
      this.#connection.exec('BEGIN IMMEDIATE')
    } catch (error) {
      return this.#refuseAll(units, storageError('the database refuses to begin a transaction', error))
    }
    for (const unit of units) {
      const result = await this.#runUnit(unit)
      if (result !== undefined) done.push(result)
    }
    try {
      this.#connection.exec('COMMIT')
    } catch (error) {
      this.#rollback()
      return this.#refuseAll(
        done.map((d) => d.unit),
        storageError('the database could not commit', error),
      )
    }
    for (const { unit, value } of done) unit.resolve(value)
  }

  async #runUnit(unit: Unit): Promise<Done | undefined> {
    try {
      this.#connection.exec('SAVEPOINT unit')
      const value = await unit.work(this.#tx)
      this.#connection.exec('RELEASE unit')
      return { unit, value }
    } catch (error) {
      unit.reject(translate(error))
      // A full disk or an I/O error ends the whole transaction by itself; then there is no savepoint to go back to.
      if (this.#connection.isTransaction) this.#connection.exec('ROLLBACK TO unit; RELEASE unit')
      return undefined
    }
  }

  #rollback(): void {
    try {
      if (this.#connection.isTransaction) this.#connection.exec('ROLLBACK')
    } catch (error) {
      this.#broken = storageError('the database could not roll back; restart the management node', error)
    }
  }

  #refuseAll(units: readonly Unit[], error: CloudError): void {
    for (const unit of units) unit.reject(error)
  }
}

function storageError(what: string, cause: unknown): CloudError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new CloudError(sysErrors.ioError, `${what}: ${reason}. Nothing was changed`, { cause })
}

/** A conflict of unique values is told apart, because callers react to it. */
function translate(error: unknown): unknown {
  const code = (error as { errcode?: number }).errcode
  // 1555 primary key, 2067 unique index
  if (code === 1555 || code === 2067) return new UniqueConflict((error as Error).message)
  return error
}

/** A row with the same unique value exists already. */
export class UniqueConflict extends Error {
  override name = 'UniqueConflict'
}
