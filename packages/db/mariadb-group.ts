import { setTimeout as pause } from 'node:timers/promises'
import type { PoolConnection } from 'mysql2/promise'
import { CloudError, sysErrors } from '#kernel'
import { CommitMarks } from './commit-marks.ts'
import type { WriteGuard } from './database.ts'
import { type Ended, GroupRun } from './group-run.ts'
import { endsTransaction, isRolledBack, lostInSilence } from './mariadb-errors.ts'
import { isOfCluster, type MariadbServers } from './mariadb-servers.ts'
import { say, sayAll, sessionOn } from './mariadb-session.ts'
import { writeOut } from './sql-text.ts'
import { storageError } from './storage-errors.ts'
import { type Unit, WriteLine } from './write-line.ts'

const MAX_UNITS_PER_COMMIT = 512
const MAX_ATTEMPTS = 8
// A cluster that lost a member commits nothing until it has noticed, and members that write at the same time win by turns.
const PATIENCE_MS = 15_000
const SHORT_PAUSE_MS = 4
const LONGEST_PAUSE_MS = 50
const LONGEST_GATHERING_MS = 3

/**
 * Runs the writes of this process as if one after another, as SQLite does: what one unit finds is true until it ends, so that
 * find-then-insert needs no locks. Those that wait share one transaction (see GroupRun) and one commit.
 * With a guard, the same holds for all processes that share its row.
 * A transaction the server gave up is run again from its first unit; one whose commit has an unknown end only after it is known
 * that it had none.
 */
export class MariadbGroup {
  /** Where writes are asked for. */
  readonly line = new WriteLine(MAX_UNITS_PER_COMMIT, (take) => this.#commitGroup(take))
  readonly #servers: MariadbServers
  readonly #isAsked: () => boolean
  readonly #marks = new CommitMarks()
  #guard: WriteGuard | undefined
  #lastSize = 0

  /** `isAsked` tells whether answers are on their way to somebody who may write next. */
  constructor(servers: MariadbServers, isAsked: () => boolean) {
    this.#servers = servers
    this.#isAsked = isAsked
  }

  guardWrites(guard: WriteGuard | undefined): void {
    this.#guard = guard
  }

  /** Units are taken late: whoever comes while the transaction waits for its turn behind those of other nodes still gets into it. */
  async #commitGroup(take: () => readonly Unit[]): Promise<void> {
    await this.#gather()
    for (const ended of await this.#commit(take)) settle(ended)
    this.#lastSize = take().length
  }

  /**
   * Waits a little, less than a commit takes, for those who were answered by the last group and read before they write again:
   * otherwise a few who were quick hold up all others by a commit of their own.
   */
  async #gather(): Promise<void> {
    for (let waited = 0; waited < LONGEST_GATHERING_MS; waited += 1) {
      if (this.line.waiting >= this.#lastSize / 2 || !this.#isAsked()) return
      await pause(1)
    }
  }

  /** Runs the units until they are committed. Throws when nothing of any of them was. */
  async #commit(take: () => readonly Unit[]): Promise<Ended[]> {
    let reason: unknown
    const startedAt = performance.now()
    for (let tries = 1; tries <= MAX_ATTEMPTS || performance.now() - startedAt < PATIENCE_MS; tries += 1) {
      const connection = await this.#servers.acquire('write')
      const { ended, lost, number } = await this.#try(connection, take)
      this.#servers.release(connection, lost)
      if (ended !== undefined && number === undefined) return ended
      if (ended !== undefined && number !== undefined) {
        const wasCommitted = await this.#lookUp(number)
        if (wasCommitted === undefined) return ended.map((one) => unknownEnd(one, lost))
        if (wasCommitted) return ended
      }
      // Nothing that another try could change.
      if (!endsTransaction(lost)) throw storageError('the database refuses to begin a transaction', lost)
      reason = lost
      if (isRolledBack(lost)) await this.#servers.reconsider()
      // Those who lose to each other must not meet again at once.
      await pause(Math.random() * (isRolledBack(lost) ? SHORT_PAUSE_MS : LONGEST_PAUSE_MS))
    }
    throw storageError('the database gives up every transaction', reason)
  }

  /** Whether the transaction was committed; undefined when no server can tell. After false it never will be. */
  async #lookUp(number: number): Promise<boolean | undefined> {
    const startedAt = performance.now()
    for (;;) {
      let connection: PoolConnection
      try {
        connection = await this.#servers.acquire('write')
      } catch {
        // The reason why it had to be looked up is what the callers are told.
        return undefined
      }
      try {
        const wasCommitted = await this.#marks.wasCommitted(connection, number)
        this.#servers.release(connection)
        return wasCommitted
      } catch (error) {
        this.#servers.release(connection, error)
        if (performance.now() - startedAt > PATIENCE_MS) return undefined
        await pause(LONGEST_PAUSE_MS)
      }
    }
  }

  /** Without `ended` the transaction was lost before its commit was asked for, or surely rolled back by it. */
  async #try(connection: PoolConnection, take: () => readonly Unit[]): Promise<Attempt> {
    const guard = this.#guard
    try {
      await this.#marks.register(connection)
      const number = this.#marks.next()
      const refusal = await begin(connection, this.#marks, number, guard)
      const units = take()
      const ended =
        refusal === undefined
          ? await new GroupRun(connection, this.#marks.question, number).run(units)
          : units.map((unit) => ({ unit, error: refusal }))
      // With a guard, refusals count only once the commit has proved that what they were decided on was not out of date.
      const isNothing = refusal !== undefined || (guard === undefined && ended.every((one) => 'error' in one))
      if (!isNothing) return await end(connection, this.#marks, number, ended)
      await say(connection, 'ROLLBACK')
      return { ended }
    } catch (error) {
      const failure = await say(connection, 'ROLLBACK').then(
        () => error,
        // It cannot be rolled back: the connection is broken, and the server does it.
        (cause: unknown) => broken(cause),
      )
      return { lost: failure }
    }
  }
}

interface Attempt {
  readonly ended?: Ended[]
  /** Set when it is not known whether the transaction of this number was committed. */
  readonly number?: number
  /** Why the connection, or what was done on it, cannot be used. */
  readonly lost?: unknown
}

/**
 * Begins with the guard. It is asked twice: the first waits for the row, and a subquery in its condition may have been answered
 * before it waited; the second is asked when the row is ours, and tells what is true now and stays true.
 */
async function begin(
  connection: PoolConnection,
  marks: CommitMarks,
  number: number,
  guard: WriteGuard | undefined,
): Promise<CloudError | undefined> {
  const text = guard === undefined ? [] : [writeOut(guard.sql, guard.params)]
  const [, marked, ...held] = await sayAll(connection, ['BEGIN', marks.statement(number), ...text, ...text])
  if (marked === 0) throw marks.swept()
  return held.every((changed) => changed > 0) ? undefined : guard?.refusal()
}

async function end(
  connection: PoolConnection,
  marks: CommitMarks,
  number: number,
  ended: Ended[],
): Promise<Attempt> {
  try {
    await say(connection, 'COMMIT')
  } catch (error) {
    if (isRolledBack(error)) return { lost: error }
    // No second statement may go over a connection of which nobody knows what it does.
    return { ended, number, lost: broken(error) }
  }
  if (!isOfCluster(connection)) return { ended }
  try {
    // When nothing was left to commit, a cluster that gave up the transaction says nothing either.
    const [row] = await sessionOn(connection).rows(marks.question, [])
    await say(connection, 'ROLLBACK')
    return Number(row?.[0]) === number ? { ended } : { lost: lostInSilence() }
  } catch (error) {
    // No second statement may go over a connection of which nobody knows what it does.
    return { ended, number, lost: broken(error) }
  }
}

/** The error of a connection that must not be used again: what it did last may still be open on it. */
function broken(cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return Object.assign(new Error(reason, { cause }), { fatal: true })
}

function settle(ended: Ended): void {
  if ('error' in ended) ended.unit.reject(ended.error)
  else ended.unit.resolve(ended.value)
}

function unknownEnd(ended: Ended, cause: unknown): Ended {
  if ('error' in ended) return ended
  const reason = cause instanceof Error ? cause.message : String(cause)
  const details = `the connection to the database failed while it committed: ${reason}. Whether the change was made is not known; look before you repeat it`
  return { unit: ended.unit, error: new CloudError(sysErrors.ioError, details, { cause }) }
}
