import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Connection, createConnection } from 'mysql2/promise'
import { type Database, type Endpoint, openMariadb, openSqlite, type Session } from '#db'
import { startMariadbServer } from './mariadb-server.ts'

const kinds = ['sqlite', 'sqlite-durable', 'mariadb', 'mariadb-durable']
/**
 * ZSTACK_TEST_DB: `sqlite` or `mariadb`; the durable ones wait for the disk at each commit, as in production (`sqlite-durable` when
 * absent). A killed process loses nothing either way, and no test cuts the power.
 */
const kind = process.env.ZSTACK_TEST_DB ?? 'sqlite-durable'
if (!kinds.includes(kind)) throw new Error(`ZSTACK_TEST_DB is one of ${kinds.join(', ')}, not '${kind}'`)
const isDurable = kind.endsWith('-durable')

export const testDialect: Database['dialect'] = kind.startsWith('sqlite') ? 'sqlite' : 'mariadb'

/** The database that belongs to a directory: one on it is the same one every time, and gone when the directory is. */
export async function openTestDatabase(dir: string): Promise<Database> {
  noteUse()
  if (testDialect === 'sqlite') return openSqlite(join(dir, 'zstack.db'), { isDurable })
  if (!existsSync(nameFile(dir))) await asAdministrator((admin) => createFor(dir, admin))
  const login = { user: 'root', password: '', database: nameOf(dir), poolSize: 4 }
  return openMariadb({ endpoints: [await server()], ...login })
}

/** Gives `to`, a copy of the directory `from`, a copy of its database too. */
export async function copyTestDatabase(from: string, to: string): Promise<void> {
  if (testDialect === 'sqlite') return
  await asAdministrator(async (admin) => {
    const source = nameOf(from)
    const [rows] = (await admin.query(`SHOW TABLES FROM ${source}`)) as unknown as [object[]]
    const tables = rows.flatMap((row) => Object.values(row) as string[])
    forgetRemoved()
    // Making tables takes far longer than filling them.
    const used = spare.get(tables.join())?.pop()
    if (used === undefined) await createFor(to, admin)
    else adopt(to, used)
    const target = nameOf(to)
    const prepare = (table: string) =>
      used === undefined
        ? `CREATE TABLE ${target}.${table} LIKE ${source}.${table}`
        : `DELETE FROM ${target}.${table}`
    const fill = (table: string) => `INSERT INTO ${target}.${table} SELECT * FROM ${source}.${table}`
    await admin.query(['BEGIN', ...tables.map(prepare), ...tables.map(fill), 'COMMIT'].join(';'))
    copies.set(to, tables.join())
  })
}

/** The test runner runs a file on the other database too when this one was asked for. */
function noteUse(): void {
  const mark = process.env.ZSTACK_TEST_DB_MARK
  if (mark !== undefined && !existsSync(mark)) writeFileSync(mark, kind)
}

/** Names of all tables of the schema, in order. */
export async function tableNames(db: Session): Promise<string[]> {
  const sql =
    testDialect === 'sqlite'
      ? "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
      : "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name <> 'CommitMark' ORDER BY name"
  return (await db.all(sql, [])).map(({ name }) => String(name))
}

/** Databases by their directories. */
const known = new Map<string, string>()
/** Which tables a copy has. */
const copies = new Map<string, string>()
/** Copies whose directories are gone, by their tables. */
const spare = new Map<string, string[]>()
let started: Promise<Endpoint> | undefined

/** One server for this process; a child process uses its parent's. */
function server(): Promise<Endpoint> {
  started ??= findServer()
  return started
}

async function findServer(): Promise<Endpoint> {
  const inherited = process.env.ZSTACK_TEST_MARIADB
  if (inherited !== undefined) {
    const [host = '', port] = inherited.split(':')
    return { host, port: Number(port) }
  }
  const { host, port } = await startMariadbServer({ durable: isDurable })
  process.env.ZSTACK_TEST_MARIADB = `${host}:${port}`
  return { host, port }
}

async function asAdministrator(work: (admin: Connection) => Promise<void>): Promise<void> {
  const admin = await createConnection({ ...(await server()), user: 'root', multipleStatements: true })
  try {
    await work(admin)
  } finally {
    await admin.end()
  }
}

async function createFor(dir: string, admin: Connection): Promise<void> {
  const name = `t_${randomUUID().replaceAll('-', '')}`
  await admin.query(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`)
  adopt(dir, name)
}

function adopt(dir: string, name: string): void {
  writeFileSync(nameFile(dir), name)
  known.set(dir, name)
}

function forgetRemoved(): void {
  for (const [dir, name] of known) {
    if (existsSync(dir)) continue
    known.delete(dir)
    const tables = copies.get(dir)
    copies.delete(dir)
    // Others stay until the server goes: dropping them takes longer than all else a test does.
    if (tables !== undefined) spare.set(tables, [...(spare.get(tables) ?? []), name])
  }
}

/** Read by child processes too. */
function nameFile(dir: string): string {
  return join(dir, 'mariadb-database')
}

function nameOf(dir: string): string {
  return readFileSync(nameFile(dir), 'utf8')
}
