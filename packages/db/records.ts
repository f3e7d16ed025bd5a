import type { Infer, Resource, Shape } from '#contract'
import { CloudError, sysErrors } from '#kernel'
import type { Session, SqlValue, Tx } from './database.ts'
import { compilePatch, compileWhere, type Patch, toSql, type Where } from './where.ts'

/**
 * Typed access to rows through their resource definition: the one way the rest of the code reads and writes the database.
 * A resource with a parent (`KVMHost` of `Host`) stores only its own fields plus the key; read and write both parts.
 */

export interface FindOptions<T> {
  readonly orderBy?: readonly (keyof T & string)[]
  readonly descending?: boolean
  readonly limit?: number
  readonly offset?: number
}

/** Adds a row. Throws UniqueConflict when its key or another unique value is taken. */
export async function insert<S extends Shape>(tx: Tx, resource: Resource<S>, row: Infer<S>): Promise<void> {
  const { sql, columns } = insertStatement(resource)
  const values = row as Readonly<Record<string, unknown>>
  await tx.send(
    sql,
    columns.map((column) => toSql(values[column])),
  )
}

/**
 * Changes the rows that match and returns how many did: 0 tells that a guard in `where` did not hold. An empty `patch` changes
 * nothing and counts only.
 */
export async function update<S extends Shape>(
  tx: Tx,
  resource: Resource<S>,
  where: Where<Infer<S>>,
  patch: Patch<Infer<S>>,
): Promise<number> {
  if (Object.keys(patch).length === 0) return count(tx, resource, where)
  const params: SqlValue[] = []
  const set = compilePatch(patch as Readonly<Record<string, unknown>>, params)
  const condition = compileWhere(where as Readonly<Record<string, unknown>>, params)
  return tx.run(`UPDATE \`${resource.table}\` SET ${set}${condition}`, params)
}

/** Removes the rows that match and returns how many did. */
export async function remove<S extends Shape>(
  tx: Tx,
  resource: Resource<S>,
  where: Where<Infer<S>>,
): Promise<number> {
  const params: SqlValue[] = []
  const condition = compileWhere(where as Readonly<Record<string, unknown>>, params)
  if (condition === '') throw new Error(`refusing to remove every row of ${resource.table}`)
  return tx.run(`DELETE FROM \`${resource.table}\`${condition}`, params)
}

/** Removes the rows that match, for those who need not know how many they were. */
export async function discard<S extends Shape>(
  tx: Tx,
  resource: Resource<S>,
  where: Where<Infer<S>>,
): Promise<void> {
  const params: SqlValue[] = []
  const condition = compileWhere(where as Readonly<Record<string, unknown>>, params)
  if (condition === '') throw new Error(`refusing to remove every row of ${resource.table}`)
  await tx.send(`DELETE FROM \`${resource.table}\`${condition}`, params)
}

/** Every row that matches. */
export async function find<S extends Shape>(
  db: Session,
  resource: Resource<S>,
  where: Where<Infer<S>>,
  options: FindOptions<Infer<S>> = {},
): Promise<Infer<S>[]> {
  const params: SqlValue[] = []
  let clauses = compileWhere(where as Readonly<Record<string, unknown>>, params)
  if (options.orderBy !== undefined) {
    const direction = options.descending === true ? ' DESC' : ''
    clauses += ` ORDER BY ${options.orderBy.map((c) => `\`${c}\`${direction}`).join(', ')}`
  }
  if (options.limit !== undefined) {
    // Spelled out: SQLite plans a statement anew whenever the parameter of its limit is bound.
    clauses += ` LIMIT ${Math.trunc(options.limit)}`
    if (options.offset !== undefined) clauses += ` OFFSET ${Math.trunc(options.offset)}`
  }
  return selectRows(db, resource, selectStatement(resource, clauses), params)
}

/** The rows of a statement that selects the `columnList` of a resource, in their typed form. */
export async function selectRows<S extends Shape>(
  db: Session,
  resource: Resource<S>,
  sql: string,
  params: readonly SqlValue[],
): Promise<Infer<S>[]> {
  const columns = columnsOf(resource)
  const rows = await db.rows(sql, params)
  return rows.map((row) => fromSql(columns, row) as Infer<S>)
}

/** The first row that matches, or undefined. */
export async function findOne<S extends Shape>(
  db: Session,
  resource: Resource<S>,
  where: Where<Infer<S>>,
): Promise<Infer<S> | undefined> {
  return (await find(db, resource, where, { limit: 1 }))[0]
}

/** The row with this key. Throws SYS.1003 naming the resource and the key when there is none. */
export async function get<S extends Shape>(
  db: Session,
  resource: Resource<S>,
  key: string,
): Promise<Infer<S>> {
  const columns = columnsOf(resource)
  const [row] = await db.rows(columns.selectByKey, [key])
  if (row === undefined) {
    throw new CloudError(sysErrors.resourceNotFound, `${resource.name}[uuid:${key}] does not exist`)
  }
  return fromSql(columns, row) as Infer<S>
}

/** How many rows match. */
export async function count<S extends Shape>(
  db: Session,
  resource: Resource<S>,
  where: Where<Infer<S>>,
): Promise<number> {
  const params: SqlValue[] = []
  const condition = compileWhere(where as Readonly<Record<string, unknown>>, params)
  const [row] = await db.rows(`SELECT COUNT(*) AS n FROM \`${resource.table}\`${condition}`, params)
  return Number(row?.[0] ?? 0)
}

// Lists of many lengths make many shapes; forget all rather than grow without end.
const MAX_SELECTS = 200

/**
 * The text of a SELECT with these clauses, the same string every time: a long text that is put together anew is also copied and
 * hashed anew by whoever looks its statement up.
 */
function selectStatement(resource: Resource, clauses: string): string {
  const { list, selects } = columnsOf(resource)
  let sql = selects.get(clauses)
  if (sql === undefined) {
    sql = `SELECT ${list} FROM \`${resource.table}\`${clauses}`
    if (selects.size >= MAX_SELECTS) selects.clear()
    selects.set(clauses, sql)
  }
  return sql
}

type Decode = (value: SqlValue) => unknown

interface Columns {
  /** Quoted, for a SELECT. */
  readonly list: string
  readonly selectByKey: string
  /** By their clauses. */
  readonly selects: Map<string, string>
  readonly names: readonly string[]
  /** How each column's stored form is read; undefined when it is the value itself. */
  readonly decode: readonly (Decode | undefined)[]
}

const isTrue: Decode = (value) => value === 1
const fromJson: Decode = (value) => JSON.parse(String(value))
const decoders: Readonly<Record<string, Decode>> = {
  boolean: isTrue,
  list: fromJson,
  map: fromJson,
  struct: fromJson,
  any: fromJson,
}

/** Turns a stored row into its typed form: NULL becomes absent, 0 and 1 of boolean columns become false and true. */
function fromSql({ names, decode }: Columns, row: readonly SqlValue[]): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (let i = 0; i < names.length; i += 1) {
    const value = row[i] as SqlValue
    if (value === null) continue
    const read = decode[i]
    out[names[i] as string] = read === undefined ? value : read(value)
  }
  return out
}

interface InsertStatement {
  readonly sql: string
  readonly columns: readonly string[]
}

const insertStatements = new WeakMap<Resource, InsertStatement>()
const columnsOfResource = new WeakMap<Resource, Columns>()

function insertStatement(resource: Resource): InsertStatement {
  let statement = insertStatements.get(resource)
  if (statement === undefined) {
    const columns = Object.keys(resource.fields)
    const names = columns.map((c) => `\`${c}\``).join(',')
    const sql = `INSERT INTO \`${resource.table}\` (${names}) VALUES (${columns.map(() => '?').join(',')})`
    statement = { sql, columns }
    insertStatements.set(resource, statement)
  }
  return statement
}

/** The columns of a resource, quoted, for a SELECT. */
export function columnList(resource: Resource): string {
  return columnsOf(resource).list
}

function columnsOf(resource: Resource): Columns {
  let columns = columnsOfResource.get(resource)
  if (columns === undefined) {
    const names = Object.keys(resource.fields)
    const decode = names.map((name) => decoders[resource.fields[name]?.kind ?? ''])
    const list = names.map((name) => `\`${name}\``).join(',')
    const selectByKey = `SELECT ${list} FROM \`${resource.table}\` WHERE \`${resource.primaryKey}\` = ? LIMIT 1`
    columns = { list, selectByKey, selects: new Map(), names, decode }
    columnsOfResource.set(resource, columns)
  }
  return columns
}
