import { createHash } from 'node:crypto'
import { CloudError, sysErrors } from '#kernel'
import type { Database } from './database.ts'

/**
 * Tables as plain data, so that one migration set serves every database. A column type ends in `?` when it may be NULL.
 * uuid: 32 characters. word: a short closed term. string: a name. text: prose. json: any length. time: milliseconds.
 */
export type ColumnType = 'uuid' | 'word' | 'string' | 'text' | 'json' | 'int' | 'long' | 'boolean' | 'time'

export interface Table {
  readonly name: string
  readonly columns: Readonly<Record<string, ColumnType | `${ColumnType}?`>>
  readonly primaryKey: readonly string[]
  readonly unique?: readonly (readonly string[])[]
  readonly indexes?: readonly (readonly string[])[]
}

/** One step of the schema's history. Once released it is never edited: its checksum is remembered. */
export interface Migration {
  /** Sorts in order of application, `0001-zone`. */
  readonly id: string
  readonly create?: readonly Table[]
  readonly addColumns?: Readonly<Record<string, Readonly<Record<string, `${ColumnType}?`>>>>
}

// Names compare without regard to case, as clients of the original expect; uuids and JSON compare exactly.
const sqliteTypes: Record<ColumnType, string> = {
  uuid: 'TEXT',
  word: 'TEXT COLLATE NOCASE',
  string: 'TEXT COLLATE NOCASE',
  text: 'TEXT COLLATE NOCASE',
  json: 'TEXT',
  int: 'INTEGER',
  long: 'INTEGER',
  boolean: 'INTEGER',
  time: 'INTEGER',
}

/** Brings the schema up to date. Refuses when an applied migration was edited or the database is newer than the program. */
export async function migrate(db: Database, migrations: readonly Migration[]): Promise<string[]> {
  refuseDuplicates(migrations)
  await db.execute(
    'CREATE TABLE IF NOT EXISTS `SchemaMigration` (`id` TEXT PRIMARY KEY, `checksum` TEXT NOT NULL, `appliedAt` INTEGER NOT NULL) STRICT',
  )
  const rows = await db.all('SELECT `id`, `checksum` FROM `SchemaMigration`', [])
  const applied = new Map(rows.map((row) => [String(row.id), String(row.checksum)]))
  refuseUnknown(applied, migrations)
  const done: string[] = []
  for (const migration of [...migrations].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const checksum = checksumOf(migration)
    const known = applied.get(migration.id)
    if (known !== undefined && known !== checksum) {
      throw new CloudError(
        sysErrors.internal,
        `migration ${migration.id} was edited after it had been applied to this database`,
      )
    }
    if (known !== undefined) continue
    await db.write(async (tx) => {
      for (const sql of statements(migration)) await tx.run(sql, [])
      const row = [migration.id, checksum, Date.now()]
      await tx.run('INSERT INTO `SchemaMigration` (`id`, `checksum`, `appliedAt`) VALUES (?, ?, ?)', row)
    })
    done.push(migration.id)
  }
  return done
}

function refuseDuplicates(migrations: readonly Migration[]): void {
  const seen = new Set<string>()
  for (const { id } of migrations) {
    if (seen.has(id)) throw new Error(`two migrations have the id ${id}; every migration needs its own`)
    seen.add(id)
  }
}

function refuseUnknown(applied: ReadonlyMap<string, string>, migrations: readonly Migration[]): void {
  const known = new Set(migrations.map((m) => m.id))
  // Numbers only grow: one below the highest we know belongs to a plugin that was taken off the list, not to a newer version.
  const highest = [...known].sort().at(-1) ?? ''
  const unknown = [...applied.keys()].filter((id) => !known.has(id) && id > highest)
  if (unknown.length === 0) return
  throw new CloudError(
    sysErrors.internal,
    `the database was made by a newer version (it has the migrations ${unknown.join(', ')}); start that version, or restore a backup`,
  )
}

function checksumOf(migration: Migration): string {
  return createHash('sha256').update(JSON.stringify(migration)).digest('hex')
}

function statements(migration: Migration): string[] {
  const creates = (migration.create ?? []).flatMap(createTable)
  const adds = Object.entries(migration.addColumns ?? {}).flatMap(([table, columns]) =>
    Object.entries(columns).map(
      ([name, type]) => `ALTER TABLE \`${table}\` ADD COLUMN ${column(name, type)}`,
    ),
  )
  return [...creates, ...adds]
}

function createTable(table: Table): string[] {
  const columns = Object.entries(table.columns).map(([name, type]) => column(name, type))
  const key = `PRIMARY KEY (${quoteAll(table.primaryKey)})`
  const indexes = (table.indexes ?? []).map((c) => index('INDEX', table.name, c))
  const unique = (table.unique ?? []).map((c) => index('UNIQUE INDEX', table.name, c))
  return [`CREATE TABLE \`${table.name}\` (${[...columns, key].join(', ')}) STRICT`, ...indexes, ...unique]
}

function index(kind: string, table: string, columns: readonly string[]): string {
  return `CREATE ${kind} \`idx_${table}_${columns.join('_')}\` ON \`${table}\` (${quoteAll(columns)})`
}

function column(name: string, type: ColumnType | `${ColumnType}?`): string {
  const nullable = type.endsWith('?')
  const base = (nullable ? type.slice(0, -1) : type) as ColumnType
  return `\`${name}\` ${sqliteTypes[base]}${nullable ? '' : ' NOT NULL'}`
}

function quoteAll(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ')
}
