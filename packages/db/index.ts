export type { Database, Session, SqlValue, Tx, WriteGuard } from './database.ts'
export { type Endpoint, type MariadbOptions, openMariadb } from './mariadb.ts'
export {
  columnList,
  count,
  discard,
  type FindOptions,
  find,
  findOne,
  get,
  insert,
  remove,
  selectRows,
  update,
} from './records.ts'
export {
  type ColumnType,
  type Migration,
  migrate,
  numberOf,
  type PlannedMigration,
  planMigrations,
  type Table,
} from './schema.ts'
export { openSqlite, readSqlite } from './sqlite.ts'
export type { DatabaseStats } from './stats.ts'
export { UniqueConflict } from './storage-errors.ts'
export {
  atLeast,
  atMost,
  type Condition,
  isNull,
  lessThan,
  like,
  not,
  notNull,
  oneOf,
  type Patch,
  plus,
  toSql,
  type Where,
} from './where.ts'
