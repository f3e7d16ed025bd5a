import { existsSync, readFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Database, type Endpoint, openMariadb, type Tx } from '#db'
import { tempDir } from './temp-database.ts'
import { openTestDatabase, testDialect } from './test-database.ts'

const installed = existsSync('/usr/bin/mariadb-install-db')
/** Why tests about MariaDB are not run here, or false. */
export const withoutMariadb =
  testDialect !== 'mariadb'
    ? 'about MariaDB: ZSTACK_TEST_DB=mariadb'
    : installed
      ? false
      : 'needs the package mariadb-server'

/** A database and its server. */
export interface MariadbPlace extends Endpoint {
  readonly database: string
}

/** An empty database with the table `ItemVO`, and where it is. */
export async function mariadbPlace(t: TestContext): Promise<MariadbPlace> {
  const dir = tempDir(t)
  const db = await openTestDatabase(dir)
  await db.execute('CREATE TABLE `ItemVO` (`uuid` VARCHAR(64) PRIMARY KEY, `n` BIGINT) ENGINE=InnoDB')
  await db.close()
  const [host = '', port] = (process.env.ZSTACK_TEST_MARIADB ?? '').split(':')
  return { host, port: Number(port), database: readFileSync(join(dir, 'mariadb-database'), 'utf8') }
}

/** The database at a place; `first` are endpoints that are tried before it. Closed after the test. */
export function openPlace(
  t: TestContext,
  { database, ...endpoint }: MariadbPlace,
  first: readonly Endpoint[] = [],
): Database {
  const endpoints = [...first, endpoint]
  const db = openMariadb({ endpoints, user: 'root', password: '', database, poolSize: 2, patienceMs: 500 })
  t.after(() => db.close())
  return db
}

export const addItem = (tx: Tx, uuid: string, n = 0) =>
  tx.run('INSERT INTO `ItemVO` (`uuid`, `n`) VALUES (?, ?)', [uuid, n])
export const itemUuids = async (db: Database) =>
  (await db.all('SELECT `uuid` FROM `ItemVO` ORDER BY `uuid`', [])).map((row) => String(row.uuid))

/**
 * Stands before the server; cuts every connection when the client sends what `cut` recognises, before or after it arrives, or lets
 * nothing pass any more, as when the machine stands still.
 */
export async function cuttingProxy(
  t: TestContext,
  to: Endpoint,
  cut: (sent: string) => 'before' | 'after' | 'silence' | undefined,
) {
  const sockets = new Set<Socket>()
  let isSilent = false
  const server: Server = createServer((client) => {
    const upstream = new (client.constructor as typeof Socket)()
    upstream.connect(to.port, to.host)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      // A cut connection is what is being tested.
      socket.on('error', () => undefined)
      socket.on('close', () => [client, upstream].map((one) => one.destroy()))
    }
    client.on('data', (data) => {
      const when = cut(data.toString('latin1'))
      if (when === 'before') return void client.destroy()
      isSilent ||= when === 'silence'
      if (isSilent) return
      upstream.write(data)
      // Its listeners are in the order of their making: this one comes before the one that passes the answer on.
      if (when === 'after') upstream.prependOnceListener('data', () => client.destroy())
    })
    upstream.on('data', (data) => void (client.destroyed || isSilent || client.write(data)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  // A cut that says so is followed by silence.
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return { host: '127.0.0.1', port: (server.address() as { port: number }).port, close }
}
