import type { SimulatedWorld } from '#agents/simulator/world.ts'
import { openMariadb, openSqlite, type Session } from '#db'
import { readDatabase } from '#server/database-config.ts'
import { auditBooks } from './audit-books.ts'
import { rowsOf } from './audit-rows.ts'
import { auditWorld } from './audit-world.ts'

export interface AuditOptions {
  /** Also tells of hosts and storages that are not Connected, of which nothing is known, and of garbage that waits for one. */
  readonly everyoneConnected?: boolean
}

/**
 * Recomputes everything that is counted or kept twice, and compares: reservations with sums, rows with rows, rows with what the
 * simulated hosts and backup storages really have. It shares no code with what it checks. Gives one sentence for each thing
 * that is wrong; call it when nothing is under way.
 */
export async function audit(
  db: Session,
  world: SimulatedWorld,
  options: AuditOptions = {},
): Promise<string[]> {
  const away =
    options.everyoneConnected === true ? [...(await findDisconnected(db)), ...(await findGarbage(db))] : []
  return [...away, ...(await auditBooks(db)), ...(await auditWorld(db, world))]
}

/** `database` is the path of a SQLite file or what `--database` of a management node takes. */
export async function auditAt(
  database: { readonly url: string; readonly password?: string },
  world: SimulatedWorld,
  options: AuditOptions = {},
): Promise<string[]> {
  const db = openAt(database.url, database.password ?? '')
  try {
    return await audit(db, world, options)
  } finally {
    await db.close()
  }
}

function openAt(url: string, password: string) {
  if (url.startsWith('/')) return openSqlite(url)
  const problems: string[] = []
  const options = readDatabase({ url, password, passwordFile: undefined }, problems)
  if (options === undefined || problems.length > 0) throw new Error(problems.join('; '))
  return openMariadb(options)
}

async function findDisconnected(db: Session): Promise<string[]> {
  const found: string[] = []
  for (const table of ['HostVO', 'PrimaryStorageVO', 'BackupStorageVO'])
    for (const { uuid, name, status } of await rowsOf(db, table))
      if (status !== 'Connected') found.push(`${table} ${name}[uuid:${uuid}] is ${status}`)
  return found
}

async function findGarbage(db: Session): Promise<string[]> {
  const jobs = await rowsOf(db, 'GarbageCollectorVO')
  return jobs.map(({ name, status, lastError }) => `garbage ${name} is left ${status}: ${lastError}`)
}
