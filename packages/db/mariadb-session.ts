import type { Socket } from 'node:net'
import type { Connection } from 'mysql2'
import type { PoolConnection } from 'mysql2/promise'
import type { Session, SqlValue } from './database.ts'
import type { Query } from './read-batch.ts'
import { writeOut } from './sql-text.ts'

// A server that was cut off answers nothing, and TCP alone notices that after many minutes.
const STATEMENT_TIMEOUT_MS = 60_000

// A backslash in a pattern is an escape for MariaDB in every mode; for us it is a character like any other.
const LIKE = /\blike \?/gi
const PLAIN_LIKE = "LIKE REPLACE(?, '\\', '\\\\')"
const plain = (sql: string) => (/\blike \?/i.test(sql) ? sql.replace(LIKE, PLAIN_LIKE) : sql)

/** Statements on one connection; errors are those of the server. */
export function sessionOn(connection: PoolConnection): Session {
  const ask = (sql: string, params: readonly SqlValue[], rowsAsArray: boolean) =>
    execute(connection, { sql: plain(sql), values: params as SqlValue[], rowsAsArray })
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
  const answer = await inTime(connection, (core, done) => core.query(statements.join(';'), done))
  const results = (Array.isArray(answer) ? answer : [answer]) as { affectedRows?: number }[]
  return results.map(({ affectedRows = 0 }) => affectedRows)
}

/** Answers the queries with one packet. Throws when one fails. */
export async function answerAll(connection: PoolConnection, queries: readonly Query[]): Promise<void> {
  const groups = [queries.filter((query) => query.asArrays), queries.filter((query) => !query.asArrays)]
  for (const group of groups) {
    const [first] = group
    if (first === undefined) continue
    if (group.length === 1) {
      const session = sessionOn(connection)
      first.answer(await (first.asArrays ? session.rows : session.all)(first.sql, first.params))
      continue
    }
    const sql = group.map((query) => writeOut(plain(query.sql), query.params)).join(';')
    const options = { sql, rowsAsArray: first.asArrays }
    const answers = (await inTime(connection, (core, done) => core.query(options, done))) as SqlValue[][][]
    for (const [i, query] of group.entries()) query.answer(answers[i] ?? [])
  }
}

type Done = (error: Error | null, answer: unknown) => void

function execute(
  connection: PoolConnection,
  statement: { sql: string; values: SqlValue[]; rowsAsArray: boolean },
): Promise<unknown> {
  return inTime(connection, (core, done) => core.execute(statement, done))
}

/** Ends what is asked with the connection when its answer takes too long; a timer that waits keeps no process alive. */
function inTime(connection: PoolConnection, ask: (core: Connection, done: Done) => void): Promise<unknown> {
  // Promises of the client cost as much as all else it does for a statement.
  const core = connection.connection as unknown as Connection & { stream: Socket }
  return new Promise((resolve, reject) => {
    const late = () =>
      core.stream.destroy(new Error(`the database did not answer within ${STATEMENT_TIMEOUT_MS / 1000} s`))
    const timer = setTimeout(late, STATEMENT_TIMEOUT_MS).unref()
    ask(core, (error, answer) => {
      clearTimeout(timer)
      if (error) reject(error)
      else resolve(answer)
    })
  })
}
