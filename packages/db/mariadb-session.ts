import type { Socket } from 'node:net'
import type { Connection } from 'mysql2'
import type { PoolConnection } from 'mysql2/promise'
import type { Session, SqlValue } from './database.ts'
import type { Query, Row } from './read-batch.ts'
import { writeOut } from './sql-text.ts'

// A server that was cut off or stopped answers nothing, and TCP alone notices that after many minutes. One that is slow, or waits
// for the others of its cluster, answers somebody else: so it is asked by another connection before this one is given up.
const SUSPICIOUS_AFTER_MS = 2_000
const STATEMENT_TIMEOUT_MS = 60_000

/** How often this process has asked a server for anything. */
export const roundTrips = { count: 0 }

/** Tells why the server behind a connection cannot be waited for; undefined when it can. */
export type Watch = () => Promise<string | undefined>

const watches = new WeakMap<object, Watch>()

/** From now on `watch` is asked when an answer on this connection takes long. */
export function watchOver(connection: PoolConnection, watch: Watch): void {
  watches.set(connection.connection, watch)
}

// A backslash in a pattern is an escape for MariaDB in every mode; for us it is a character like any other.
const LIKE = /\blike \?/gi
const PLAIN_LIKE = "LIKE REPLACE(?, '\\', '\\\\')"
const plain = (sql: string) => (/\blike \?/i.test(sql) ? sql.replace(LIKE, PLAIN_LIKE) : sql)

/** Statements on one connection; errors are those of the server. */
export function sessionOn(connection: PoolConnection): Session {
  // Written out: preparing a statement costs a round trip on each connection, and what a server keeps of them is limited.
  const ask = (sql: string, params: readonly SqlValue[], rowsAsArray: boolean) => {
    const statement = { sql: writeOut(plain(sql), params), rowsAsArray }
    return inTime(connection, (core, done) => core.query(statement, done))
  }
  return {
    all: async (sql, params) => (await ask(sql, params, false)) as Record<string, SqlValue>[],
    rows: async (sql, params) => (await ask(sql, params, true)) as SqlValue[][],
    run: async (sql, params) =>
      ((await ask(sql, params, false)) as { affectedRows?: number }).affectedRows ?? 0,
  }
}

/** Runs one statement that has no parameters. */
export async function say(connection: PoolConnection, sql: string): Promise<void> {
  await inTime(connection, (core, done) => core.query(sql, done))
}

/** Runs the statements in one packet, up to the first that fails, and returns how many rows each changed. */
export async function sayAll(connection: PoolConnection, statements: readonly string[]): Promise<number[]> {
  return (await script(connection, statements)).map(({ affectedRows = 0 }) => affectedRows)
}

/** The same, and returns the rows of `queries`, which must ask for arrays, as they are after the statements. */
export async function sayAndAsk(
  connection: PoolConnection,
  statements: readonly string[],
  queries: readonly Pick<Query, 'sql' | 'params'>[],
): Promise<{ counts: number[]; answers: Row[][] }> {
  const results = await script(connection, [
    ...statements,
    ...queries.map((query) => writeOut(plain(query.sql), query.params)),
  ])
  const counts = results.slice(0, statements.length).map(({ affectedRows = 0 }) => affectedRows)
  return { counts, answers: results.slice(statements.length) as unknown as Row[][] }
}

/** Answers the queries, most of them with one packet. Throws when one fails. */
export async function answerAll(connection: PoolConnection, queries: readonly Query[]): Promise<void> {
  const session = sessionOn(connection)
  const together = queries.filter((query) => query.asArrays)
  if (together.length > 1) {
    const { answers } = await sayAndAsk(connection, [], together)
    for (const [i, query] of together.entries()) query.answer(answers[i] ?? [])
  }
  for (const query of queries)
    if (!query.asArrays) query.answer(await session.all(query.sql, query.params))
    else if (together.length === 1) query.answer(await session.rows(query.sql, query.params))
}

async function script(
  connection: PoolConnection,
  statements: readonly string[],
): Promise<{ affectedRows?: number }[]> {
  const sql = statements.join(';')
  const answer = await inTime(connection, (core, done) => core.query({ sql, rowsAsArray: true }, done))
  return (statements.length > 1 ? answer : [answer]) as { affectedRows?: number }[]
}

type Done = (error: Error | null, answer: unknown) => void

/** Ends what is asked with the connection when its answer takes too long; a timer that waits keeps no process alive. */
function inTime(connection: PoolConnection, ask: (core: Connection, done: Done) => void): Promise<unknown> {
  // Promises of the client cost as much as all else it does for a statement.
  const core = connection.connection as unknown as Connection & { stream: Socket }
  roundTrips.count += 1
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const wait = (waitedMs: number) => {
      timer = setTimeout(() => void look(waitedMs + SUSPICIOUS_AFTER_MS), SUSPICIOUS_AFTER_MS).unref()
    }
    const look = async (waitedMs: number) => {
      const isLate = waitedMs >= STATEMENT_TIMEOUT_MS
      const reason = isLate ? `${waitedMs / 1000} s have passed` : await watches.get(core)?.()
      if (timer === undefined) return
      if (reason === undefined) wait(waitedMs)
      else core.stream.destroy(new Error(`the database did not answer: ${reason}`))
    }
    wait(0)
    ask(core, (error, answer) => {
      clearTimeout(timer)
      timer = undefined
      if (error) reject(error)
      else resolve(answer)
    })
  })
}
