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

/** What a migration would do. */
export interface PlannedMigration {
  readonly id: string
  readonly statements: readonly string[]
}

/**
 * Brings the schema up to date and returns what was done. `level` is the number of the newest migration of this version, also of
 * plugins that are not in its list. Refuses when an applied migration was edited or the database is of a newer version. Several
 * nodes may start at once: what one has done another one finds done.
 */
export async function migrate(db: Database, migrations: readonly Migration[], level = 0): Promise<string[]> {
  refuseDuplicates(migrations)
  const dialect = dialects[db.dialect]
  await db.execute(dialect.migrationTable)
  const applied = await appliedOn(db)
  const done: string[] = []
  for (const migration of pending(applied, migrations, level)) {
    const changes = statements(dialect, migration)
    if (!dialect.schemaInTransaction) {
      refuseTakenTables(migration, migrations)
      for (const sql of changes) await db.execute(sql)
    }
    const isNew = await db.write(async (tx) => {
      const [other] = await tx.all('SELECT `id` FROM `SchemaMigration` WHERE `id` = ?', [migration.id])
      if (other !== undefined) return false
      if (dialect.schemaInTransaction) for (const sql of changes) await tx.run(sql, [])
      const row = [migration.id, checksumOf(migration), Date.now()]
      await tx.run('INSERT INTO `SchemaMigration` (`id`, `checksum`, `appliedAt`) VALUES (?, ?, ?)', row)
      return true
    })
    if (isNew) done.push(migration.id)
  }
  return done
}

/** What `migrate` would do, or throws what it would throw; changes nothing. */
export async function planMigrations(
  db: Pick<Database, 'all' | 'dialect'>,
  migrations: readonly Migration[],
  level = 0,
): Promise<PlannedMigration[]> {
  refuseDuplicates(migrations)
  const dialect = dialects[db.dialect]
  const tables = await db.all(dialect.tables, [])
  const isNew = !tables.some(({ name }) => name === 'SchemaMigration')
  const applied = isNew ? new Map<string, string>() : await appliedOn(db)
  return pending(applied, migrations, level).map((migration) => {
    if (!dialect.schemaInTransaction) refuseTakenTables(migration, migrations)
    return { id: migration.id, statements: statements(dialect, migration) }
  })
}

async function appliedOn(db: Pick<Database, 'all'>): Promise<Map<string, string>> {
  const rows = await db.all('SELECT `id`, `checksum` FROM `SchemaMigration`', [])
  return new Map(rows.map((row) => [String(row.id), String(row.checksum)]))
}

/** Those that are not applied yet, in their order. */
function pending(
  applied: ReadonlyMap<string, string>,
  migrations: readonly Migration[],
  level: number,
): Migration[] {
  refuseUnknown(applied, migrations, level)
  return [...migrations]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .filter((migration) => {
      const [known, own] = [applied.get(migration.id), checksumOf(migration)]
      if (known === undefined || known === own) return known === undefined
      throw new CloudError(
        sysErrors.internal,
        `migration ${migration.id} was edited after it had been applied to this database (checksum ${known.slice(0, 12)} there, ${own.slice(0, 12)} here); undo the edit and make a new migration`,
      )
    })
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

function refuseUnknown(
  applied: ReadonlyMap<string, string>,
  migrations: readonly Migration[],
  level: number,
): void {
  const known = new Set(migrations.map((m) => m.id))
  // Numbers only grow: one up to the newest of this version belongs to a plugin that was taken off its list.
  const newest = Math.max(level, ...migrations.map(({ id }) => numberOf(id)))
  const unknown = [...applied.keys()].filter((id) => !known.has(id) && numberOf(id) > newest)
  if (unknown.length === 0) return
  throw new CloudError(
    sysErrors.internal,
    `the database was made by a newer version (it has the migrations ${unknown.join(', ')}; this version knows them up to ${newest}); start that version, or restore a backup`,
  )
}

/** 27 of `0027-vm`. */
export function numberOf(id: string): number {
  return Number.parseInt(id, 10)
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
