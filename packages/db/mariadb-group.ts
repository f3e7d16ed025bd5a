import { setTimeout as pause } from 'node:timers/promises'
import type { PoolConnection } from 'mysql2/promise'
import { CloudError, sysErrors } from '#kernel'
import { currentUnit, isInsideUnit, nestedWrite } from './current-unit.ts'
import type { Session, Tx } from './database.ts'
import { endsTransaction, isRolledBack, translate } from './mariadb-errors.ts'
import { inTime, type MariadbServers } from './mariadb-servers.ts'
import type { DatabaseStats } from './stats.ts'
import { databaseClosed, storageError } from './storage-errors.ts'

interface Unit {
  readonly work: (tx: Tx) => Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** How a unit ended inside a transaction that is not committed yet. */
type Ended = { readonly unit: Unit } & ({ readonly value: unknown } | { readonly error: unknown })

/** One try of a group. `lost` is set as soon as nothing of it can be committed any more. */
interface Attempt {
  readonly session: Session
  lost?: unknown
}

const MAX_UNITS_PER_COMMIT = 256
const MAX_ATTEMPTS = 8

/**
 * Runs the writes of this process one after another, as SQLite does: what one unit finds is true until it ends, so that
 * find-then-insert needs no locks. Those that wait share one transaction, each with a savepoint of its own, and one commit.
 * A transaction the server gave up is run again from its first unit; one whose commit has an unknown end never is.
 */
export class MariadbGroup {
  readonly #servers: MariadbServers
  readonly #sessionOn: (connection: PoolConnection) => Session
  readonly #stats: DatabaseStats
  #pending: Unit[] = []
  #draining: Promise<void> | undefined
  #refusal: CloudError | undefined

  constructor(
    servers: MariadbServers,
    sessionOn: (connection: PoolConnection) => Session,
    stats: DatabaseStats,
  ) {
    this.#servers = servers
    this.#stats = stats
    this.#sessionOn = sessionOn
  }

  write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (isInsideUnit()) return Promise.reject(nestedWrite())
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal)
    this.#stats.unitsAsked += 1
    return new Promise<T>((resolve, reject) => {
      this.#pending.push({ work, resolve: resolve as (value: unknown) => void, reject })
      this.#draining ??= this.#drain()
    })
  }

  /** Refuses new writes and waits until those under way have ended. */
  async close(): Promise<void> {
    this.#refusal ??= databaseClosed()
    await this.#draining
  }

  async #drain(): Promise<void> {
    await nextTurn()
    while (this.#pending.length > 0) {
      const units = this.#pending.splice(0, MAX_UNITS_PER_COMMIT)
      const beganAtMs = performance.now()
      try {
        for (const ended of await this.#commit(units)) settle(ended)
      } catch (error) {
        for (const unit of units) unit.reject(error)
      }
      this.#stats.groupEnded(units.length, performance.now() - beganAtMs)
      await nextTurn()
    }
    this.#draining = undefined
  }

  /** Runs the units until they are committed. Throws when nothing of any of them was. */
  async #commit(units: readonly Unit[]): Promise<Ended[]> {
    let reason: unknown
    for (let tries = 1; tries <= MAX_ATTEMPTS; tries += 1) {
      const connection = await this.#servers.acquire('write')
      const attempt: Attempt = { session: this.#sessionOn(connection) }
      const ended = await this.#try(connection, attempt, units)
      this.#servers.release(connection, attempt.lost)
      if (ended !== undefined) return ended
      reason = attempt.lost
      await pause(tries * tries)
    }
    throw storageError(`the database gave up a transaction ${MAX_ATTEMPTS} times`, reason)
  }

  /** Undefined when the transaction was lost before its commit was asked for, or surely rolled back by it. */
  async #try(
    connection: PoolConnection,
    attempt: Attempt,
    units: readonly Unit[],
  ): Promise<Ended[] | undefined> {
    const ended: Ended[] = []
    try {
      await say(connection, 'BEGIN')
      for (const unit of units) {
        // One alone is taken back with its transaction.
        if (units.length > 1) await say(connection, 'SAVEPOINT unit')
        ended.push(await runUnit(unit, attempt))
        if (attempt.lost !== undefined) throw attempt.lost
        if (units.length > 1 && 'error' in (ended.at(-1) ?? {})) await say(connection, 'ROLLBACK TO unit')
      }
      if (ended.every((one) => 'error' in one)) {
        await say(connection, 'ROLLBACK')
        return ended
      }
    } catch (error) {
      attempt.lost = error
      // When it cannot be rolled back the connection is broken, and the server does it.
      await say(connection, 'ROLLBACK').catch((failure: unknown) => {
        attempt.lost = broken(failure)
      })
      return undefined
    }
    return this.#end(connection, attempt, ended)
  }

  async #end(connection: PoolConnection, attempt: Attempt, ended: Ended[]): Promise<Ended[] | undefined> {
    try {
      await say(connection, 'COMMIT')
      return ended
    } catch (error) {
      attempt.lost = error
      if (isRolledBack(error)) return undefined
      // No second statement may go over a connection of which nobody knows what it does.
      attempt.lost = broken(error)
      const unknown = unknownEnd(error)
      return ended.map((one) => ('error' in one ? one : { unit: one.unit, error: unknown }))
    }
  }
}

async function runUnit(unit: Unit, attempt: Attempt): Promise<Ended> {
  const scope = { open: true }
  try {
    return { unit, value: await currentUnit.run(scope, unit.work, txOf(scope, attempt)) }
  } catch (error) {
    return { unit, error: translate(error) }
  } finally {
    scope.open = false
  }
}

/** What a unit left running when it ended must not write into its neighbours' transaction; nor may one go on in a lost one. */
function txOf(scope: { readonly open: boolean }, attempt: Attempt): Tx {
  const guarded = async <T>(ask: (session: Session) => Promise<T>): Promise<T> => {
    if (!scope.open) throw new Error('this tx is over: its write has ended')
    if (attempt.lost !== undefined) throw attempt.lost
    try {
      return await ask(attempt.session)
    } catch (error) {
      if (endsTransaction(error)) attempt.lost ??= error
      throw translate(error)
    }
  }
  return {
    writable: true,
    all: (sql, params) => guarded((session) => session.all(sql, params)),
    rows: (sql, params) => guarded((session) => session.rows(sql, params)),
    run: (sql, params) => guarded((session) => session.run(sql, params)),
  }
}

async function say(connection: PoolConnection, sql: string): Promise<void> {
  await inTime(connection, connection.query(sql))
}

/** The error of a connection that must not be used again: what it did last may still be open on it. */
function broken(cause: unknown): Error {
  return Object.assign(new Error('the connection is in an unknown state', { cause }), { fatal: true })
}

function settle(ended: Ended): void {
  if ('error' in ended) ended.unit.reject(ended.error)
  else ended.unit.resolve(ended.value)
}

function unknownEnd(cause: unknown): CloudError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const details = `the connection to the database failed while it committed: ${reason}. Whether the change was made is not known; look before you repeat it`
  return new CloudError(sysErrors.ioError, details, { cause })
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
