import type { PoolConnection } from 'mysql2/promise'
import type { Database, Session, SqlValue } from './database.ts'
import { isConnectionLost, isNotReady, translate } from './mariadb-errors.ts'
import { MariadbGroup } from './mariadb-group.ts'
import { inTime, type MariadbOptions, MariadbServers } from './mariadb-servers.ts'
import { DatabaseStats } from './stats.ts'

export type { Endpoint, MariadbOptions } from './mariadb-servers.ts'

const MAX_READ_ATTEMPTS = 5

/**
 * MariaDB 10.10 or newer. Nothing is connected before the first statement. Writes of this process run one after another
 * (see MariadbGroup): a database has one management node that writes. A read whose connection broke is asked again.
 */
export function openMariadb(options: MariadbOptions): Database {
  const servers = new MariadbServers(options)
  const stats = new DatabaseStats()
  const open = (connection: PoolConnection) => sessionOn(connection, stats)
  const group = new MariadbGroup(servers, open, stats)
  const read = async <T>(ask: (session: Session) => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries += 1) {
      const connection = await servers.acquire('read')
      try {
        const answer = await ask(open(connection))
        servers.release(connection)
        return answer
      } catch (error) {
        servers.release(connection, error)
        const again = isConnectionLost(error) || isNotReady(error)
        if (!again || tries >= MAX_READ_ATTEMPTS) throw translate(error)
      }
    }
  }
  let closing: Promise<void> | undefined
  return {
    dialect: 'mariadb',
    stats,
    all: (sql, params) => read((session) => session.all(sql, params)),
    rows: (sql, params) => read((session) => session.rows(sql, params)),
    run: () => Promise.reject(new Error('a read session cannot change anything: use write()')),
    write: (unit) => group.write(unit),
    execute: async (sql) => {
      const connection = await servers.acquire('write')
      await connection.query(sql).then(
        () => servers.release(connection),
        (error) => {
          servers.release(connection, error)
          throw translate(error)
        },
      )
    },
    close: () => {
      closing ??= group.close().then(() => servers.close())
      return closing
    },
  }
}

// A backslash in a pattern is an escape for MariaDB in every mode; for us it is a character like any other.
const LIKE = /\blike \?/gi
const PLAIN_LIKE = "LIKE REPLACE(?, '\\', '\\\\')"

/** Statements on one connection; errors are those of the server. */
function sessionOn(connection: PoolConnection, stats: DatabaseStats): Session {
  const ask = async (sql: string, params: readonly SqlValue[], rowsAsArray: boolean): Promise<unknown> => {
    stats.statements += 1
    const statement = { sql: sql.replace(LIKE, PLAIN_LIKE), values: params as SqlValue[], rowsAsArray }
    const [answer] = await inTime(connection, connection.execute(statement))
    return answer
  }
  return {
    all: async (sql, params) => (await ask(sql, params, false)) as Record<string, SqlValue>[],
    rows: async (sql, params) => (await ask(sql, params, true)) as SqlValue[][],
    run: async (sql, params) =>
      ((await ask(sql, params, false)) as { affectedRows?: number }).affectedRows ?? 0,
  }
}
