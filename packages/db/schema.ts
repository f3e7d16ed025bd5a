import { createHash } from 'node:crypto'
import { CloudError, sysErrors } from '#kernel'
import type { Database } from './database.ts'
import { type Dialect, dialects } from './dialects.ts'

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
  /** By table; not on columns of type string or text, which some databases index by their beginning only. */
  readonly addIndexes?: Readonly<Record<string, readonly (readonly string[])[]>>
}

/** Brings the schema up to date. Refuses when an applied migration was edited or the database is newer than the program. */
export async function migrate(db: Database, migrations: readonly Migration[]): Promise<string[]> {
  refuseDuplicates(migrations)
  const dialect = dialects[db.dialect]
  await db.execute(dialect.migrationTable)
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
    const changes = statements(dialect, migration)
    if (!dialect.schemaInTransaction) {
      refuseTakenTables(migration, migrations)
      for (const sql of changes) await db.execute(sql)
    }
    await db.write(async (tx) => {
      if (dialect.schemaInTransaction) for (const sql of changes) await tx.run(sql, [])
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

/** Statements that can be repeated do not notice a table that is somebody else's. */
function refuseTakenTables(migration: Migration, migrations: readonly Migration[]): void {
  const earlier = migrations.filter(({ id }) => id < migration.id)
  const taken = new Set(earlier.flatMap(({ create }) => (create ?? []).map(({ name }) => name)))
  const twice = migration.create?.find(({ name }) => taken.has(name))
  if (twice !== undefined)
    throw new Error(`migration ${migration.id}: an earlier migration makes the table ${twice.name}`)
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

function statements({ createTable, addColumn, addIndex }: Dialect, migration: Migration): string[] {
  const adds = Object.entries(migration.addColumns ?? {}).flatMap(([table, columns]) =>
    Object.entries(columns).map(([name, type]) => addColumn(table, name, type)),
  )
  const indexes = Object.entries(migration.addIndexes ?? {}).flatMap(([table, all]) =>
    all.map((on) => addIndex(table, on)),
  )
  return [...(migration.create ?? []).flatMap(createTable), ...adds, ...indexes]
}
