import type { Database } from './database.ts'
import { GatheredReads } from './gathered-reads.ts'
import { isConnectionLost, isNotReady, isWaitedTooLong, translate } from './mariadb-errors.ts'
import { MariadbGroup } from './mariadb-group.ts'
import { type MariadbOptions, MariadbServers } from './mariadb-servers.ts'
import { answerAll, roundTrips } from './mariadb-session.ts'
import type { Query } from './read-batch.ts'

export type { Endpoint, MariadbOptions } from './mariadb-servers.ts'

const MAX_READ_ATTEMPTS = 5

/**
 * MariaDB 10.10 or newer. Nothing is connected before the first statement. Writes of this process run one after another
 * (see MariadbGroup); those of several processes do so when each guards its writes by a row they share. A read whose
 * connection broke is asked again.
 */
export function openMariadb(options: MariadbOptions): Database {
  const servers = new MariadbServers(options)
  const read = async (queries: readonly Query[]): Promise<void> => {
    for (let tries = 1; ; tries += 1) {
      const connection = await servers.acquire('read')
      try {
        await answerAll(connection, queries)
        return servers.release(connection)
      } catch (error) {
        servers.release(connection, error)
        // 1205 is what a member says that could not learn in time what the others committed.
        const again = isConnectionLost(error) || isNotReady(error) || isWaitedTooLong(error)
        if (!again || tries >= MAX_READ_ATTEMPTS) throw translate(error)
      }
    }
  }
  const reads = new GatheredReads(read)
  const group = new MariadbGroup(servers, () => reads.isAsked)
  let closing: Promise<void> | undefined
  return {
    dialect: 'mariadb',
    stats: {
      get statements() {
        return roundTrips.count
      },
      writes: group.line.stats,
    },
    ...reads.session,
    run: () => Promise.reject(new Error('a read session cannot change anything: use write()')),
    write: (unit) => group.line.write(unit),
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
      closing ??= group.line.close().then(() => servers.close())
      return closing
    },
  }
}
