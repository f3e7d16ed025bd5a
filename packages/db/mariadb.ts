import type { Database, Session } from './database.ts'
import { isConnectionLost, isNotReady, isWaitedTooLong, translate } from './mariadb-errors.ts'
import { MariadbGroup } from './mariadb-group.ts'
import { type MariadbOptions, MariadbServers } from './mariadb-servers.ts'
import { roundTrips, sessionOn } from './mariadb-session.ts'
import { type Query, ReadBatch, type Row } from './read-batch.ts'

export type { Endpoint, MariadbOptions } from './mariadb-servers.ts'

const MAX_READ_ATTEMPTS = 5

/**
 * MariaDB 10.10 or newer. Nothing is connected before the first statement. Writes of this process run one after another
 * (see MariadbGroup); those of several processes do so when each guards its writes by a row they share. A read whose
 * connection broke is asked again.
 */
export function openMariadb(options: MariadbOptions): Database {
  const servers = new MariadbServers(options)
  let reads = 0
  const group = new MariadbGroup(servers, () => reads > 0)
  const read = async <T>(ask: (session: Session) => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries += 1) {
      const connection = await servers.acquire('read')
      try {
        const answer = await ask(sessionOn(connection))
        servers.release(connection)
        return answer
      } catch (error) {
        servers.release(connection, error)
        // 1205 is what a member says that could not learn in time what the others committed.
        const again = isConnectionLost(error) || isNotReady(error) || isWaitedTooLong(error)
        if (!again || tries >= MAX_READ_ATTEMPTS) throw translate(error)
      }
    }
  }
  const answer = async ({ sql, params, asArrays, ...query }: Query) => {
    reads += 1
    await read<Row[]>((session) => (asArrays ? session.rows(sql, params) : session.all(sql, params))).then(
      query.answer,
      query.fail,
    )
    reads -= 1
  }
  const batch: ReadBatch = new ReadBatch(() => {
    setImmediate(() => {
      for (const query of batch.take()) void answer(query)
    })
  })
  let closing: Promise<void> | undefined
  return {
    dialect: 'mariadb',
    stats: {
      get statements() {
        return roundTrips.count
      },
      writes: group.stats,
    },
    ...batch.session,
    run: () => Promise.reject(new Error('a read session cannot change anything: use write()')),
    write: (unit) => group.write(unit),
    guardWrites: (guard) => group.guardWrites(guard),
    execute: async (sql) => {
      const connection = await servers.acquire('write')
      const commit = () => connection.query('COMMIT')
      await connection
        .query(sql)
        .then(commit)
        .then(
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
