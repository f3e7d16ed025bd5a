import { createHash } from 'node:crypto'
import type { Database } from './database.ts'
import type { ColumnType, Table } from './schema.ts'

type Column = ColumnType | `${ColumnType}?`

/** What differs between databases in the making of tables. */
export interface Dialect {
  readonly migrationTable: string
  /** Selects the `name` of every table. */
  readonly tables: string
  /** True when changes of the schema are part of a transaction; where not, every statement here can be repeated. */
  readonly schemaInTransaction: boolean
  readonly createTable: (table: Table) => string[]
  readonly addColumn: (table: string, name: string, type: Column) => string
  readonly addIndex: (table: string, on: readonly string[]) => string
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

const sqlite: Dialect = {
  migrationTable:
    'CREATE TABLE IF NOT EXISTS `SchemaMigration` (`id` TEXT PRIMARY KEY, `checksum` TEXT NOT NULL, `appliedAt` INTEGER NOT NULL) STRICT',
  tables: "SELECT name FROM sqlite_master WHERE type = 'table'",
  schemaInTransaction: true,
  createTable: ({ name, columns, primaryKey, indexes = [], unique = [] }) => {
    const lines = Object.entries(columns).map(([column, type]) => define(sqliteTypes, column, type))
    const index = (kind: string, on: readonly string[]) =>
      `CREATE ${kind} \`idx_${name}_${on.join('_')}\` ON \`${name}\` (${quoteAll(on)})`
    return [
      `CREATE TABLE \`${name}\` (${[...lines, `PRIMARY KEY (${quoteAll(primaryKey)})`].join(', ')}) STRICT`,
      ...indexes.map((on) => index('INDEX', on)),
      ...unique.map((on) => index('UNIQUE INDEX', on)),
    ]
  },
  addColumn: (table, name, type) => `ALTER TABLE \`${table}\` ADD COLUMN ${define(sqliteTypes, name, type)}`,
  addIndex: (table, on) => `CREATE INDEX \`idx_${table}_${on.join('_')}\` ON \`${table}\` (${quoteAll(on)})`,
}

// Spaces at the end count, as in SQLite; accents make a difference, case does not.
const EXACT = 'CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin'
const ANY_CASE = 'CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_nopad_as_ci'
const mariadbTypes: Record<ColumnType, string> = {
  // Room for keys that are no uuids.
  uuid: `VARCHAR(64) ${EXACT}`,
  word: `VARCHAR(255) ${ANY_CASE}`,
  string: `TEXT ${ANY_CASE}`,
  text: `MEDIUMTEXT ${ANY_CASE}`,
  json: `LONGTEXT ${EXACT}`,
  int: 'BIGINT',
  long: 'BIGINT',
  boolean: 'TINYINT',
  time: 'BIGINT',
}
// What is unique is indexed whole, so it has to be short.
const uniqueTypes = { ...mariadbTypes, string: `VARCHAR(255) ${ANY_CASE}` }
// Rows lie in the order in which they came, as in SQLite: what is asked for without an order comes in that one, and new rows go
// to the end of the table instead of all over it. Nobody sees the column who does not name it.
const ROW_ORDER = '`_row` BIGINT NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY'
const INDEX_PREFIX = 191
const MAX_NAME = 64

const mariadb: Dialect = {
  migrationTable: `CREATE TABLE IF NOT EXISTS \`SchemaMigration\` (\`id\` VARCHAR(255) ${EXACT} PRIMARY KEY, \`checksum\` VARCHAR(64) NOT NULL, \`appliedAt\` BIGINT NOT NULL) ENGINE=InnoDB`,
  tables: 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()',
  schemaInTransaction: false,
  createTable: ({ name, columns, primaryKey, indexes = [], unique = [] }) => {
    const whole = new Set([...primaryKey, ...unique.flat()])
    const lines = Object.entries(columns).map(([column, type]) =>
      define(whole.has(column) ? uniqueTypes : mariadbTypes, column, type),
    )
    const isLong = (column: string) => !whole.has(column) && /^(string|text)/.test(columns[column] ?? '')
    const part = (column: string) => `\`${column}\`${isLong(column) ? `(${INDEX_PREFIX})` : ''}`
    const index = (kind: string, on: readonly string[]) =>
      `${kind} \`${indexName(name, on)}\` (${on.map(part).join(', ')})`
    const keys = [
      ROW_ORDER,
      index('UNIQUE INDEX', primaryKey),
      ...indexes.map((on) => index('INDEX', on)),
      ...unique.map((on) => index('UNIQUE INDEX', on)),
    ]
    return [
      `CREATE TABLE IF NOT EXISTS \`${name}\` (${[...lines, ...keys].join(', ')}) ENGINE=InnoDB ROW_FORMAT=DYNAMIC`,
    ]
  },
  addColumn: (table, name, type) =>
    `ALTER TABLE \`${table}\` ADD COLUMN IF NOT EXISTS ${define(mariadbTypes, name, type)}`,
  addIndex: (table, on) =>
    `CREATE INDEX IF NOT EXISTS \`${indexName(table, on)}\` ON \`${table}\` (${quoteAll(on)})`,
}

export const dialects: Readonly<Record<Database['dialect'], Dialect>> = { sqlite, mariadb }

function define(types: Record<ColumnType, string>, name: string, type: Column): string {
  const isNullable = type.endsWith('?')
  const base = (isNullable ? type.slice(0, -1) : type) as ColumnType
  return `\`${name}\` ${types[base]}${isNullable ? '' : ' NOT NULL'}`
}

function indexName(table: string, columns: readonly string[]): string {
  const name = `idx_${table}_${columns.join('_')}`
  if (name.length <= MAX_NAME) return name
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 12)
  return `${name.slice(0, MAX_NAME - 13)}_${digest}`
}

function quoteAll(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ')
}
