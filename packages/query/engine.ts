import type { Resource, Shape } from '#contract'
import { columnList, type Session, type SqlValue, selectRows } from '#db'
import { CloudError, sysErrors } from '#kernel'
import { compileConditions, type Fragment } from './compile.ts'
import { nearest } from './nearest.ts'
import type { FoundRelation, ResourceRegistry } from './registry.ts'
import type { QueryReply, QueryRequest } from './request.ts'

export type Inventory = Record<string, unknown>

/** Answers every Query API, and gives single inventories in the same form. */
export interface QueryEngine {
  readonly registry: ResourceRegistry
  query(resource: Resource, request: QueryRequest): Promise<QueryReply>
  /** The inventory with this key. Throws SYS.1003 when there is none. */
  view<S extends Shape>(resource: Resource<S>, key: string): Promise<Inventory>
  /** Which of `keys` do not exist. */
  missing(resource: Resource, keys: readonly string[]): Promise<string[]>
}

const DEFAULT_LIMIT = 1000
// Keys in one IN list; more go into further statements.
const CHUNK = 500

export function createQueryEngine(db: Session, registry: ResourceRegistry): QueryEngine {
  return {
    registry,
    query: (resource, request) => answer(db, registry, resource, request),
    view: async (resource, key) => {
      const rows = await selectByKeys(db, resource, resource.primaryKey, [key])
      const [inventory] = await present(db, registry, resource, rows, undefined)
      if (inventory !== undefined) return inventory
      throw new CloudError(sysErrors.resourceNotFound, `${resource.name}[uuid:${key}] does not exist`)
    },
    missing: async (resource, keys) => {
      const key = resource.primaryKey
      const found = new Set<SqlValue | undefined>()
      for (const chunk of chunks(keys)) {
        const marks = chunk.map(() => '?').join(',')
        const sql = `SELECT \`${key}\` FROM \`${resource.table}\` WHERE \`${key}\` IN (${marks})`
        for (const row of await db.all(sql, chunk)) found.add(row[key])
      }
      return keys.filter((k) => !found.has(k))
    },
  }
}

async function answer(
  db: Session,
  registry: ResourceRegistry,
  resource: Resource,
  request: QueryRequest,
): Promise<QueryReply> {
  checkFields(registry, resource, request.fields ?? [])
  checkPaging(request)
  const where = compileConditions(registry, resource, request.conditions)
  if (request.count === true) return { total: await total(db, resource, where) }
  const params = [...where.params, request.start ?? 0]
  const sql = selectStatement(registry, resource, where.sql, request)
  const rows = await selectRows(db, resource, sql, params)
  const inventories = await present(db, registry, resource, rows, request.fields)
  if (request.replyWithCount !== true) return { inventories }
  return { inventories, total: await total(db, resource, where) }
}

function selectStatement(
  registry: ResourceRegistry,
  resource: Resource,
  where: string,
  request: QueryRequest,
): string {
  // The limit is spelled out: SQLite plans a statement anew whenever that parameter is bound.
  const page = `LIMIT ${request.limit ?? DEFAULT_LIMIT} OFFSET ?`
  return `SELECT ${columnList(resource)} FROM \`${resource.table}\`${where}${orderBy(registry, resource, request)} ${page}`
}

function orderBy(registry: ResourceRegistry, resource: Resource, request: QueryRequest): string {
  if (request.sortBy === undefined) return ''
  const found = registry.fieldOf(resource, request.sortBy)
  if (found === undefined || found.owner !== resource)
    throw noField(registry, resource, request.sortBy, 'sort by')
  const direction = request.sortDirection === 'desc' ? 'DESC' : 'ASC'
  // The key decides between equals, so that pages neither repeat nor miss rows.
  return ` ORDER BY \`${request.sortBy}\` ${direction}, \`${resource.primaryKey}\``
}

async function total(db: Session, resource: Resource, where: Fragment): Promise<number> {
  const rows = await db.all(`SELECT COUNT(*) AS n FROM \`${resource.table}\`${where.sql}`, where.params)
  return Number(rows[0]?.n ?? 0)
}

function checkPaging({ limit, start }: QueryRequest): void {
  for (const [name, value] of Object.entries({ limit, start })) {
    if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) continue
    const details = `'${name}' of a query must be a whole number that is not negative, got ${value}`
    throw new CloudError(sysErrors.invalidArgument, details, { opaque: { field: name } })
  }
}

function checkFields(registry: ResourceRegistry, resource: Resource, fields: readonly string[]): void {
  for (const name of fields) {
    const known = registry.fieldOf(resource, name) ?? registry.relationOf(resource, name)?.relation.embedded
    if (known === undefined || known === false) throw noField(registry, resource, name, 'show')
  }
}

function noField(registry: ResourceRegistry, resource: Resource, name: string, purpose: string): CloudError {
  const valid = registry.fieldNamesOf(resource)
  const guess = nearest(name, valid)
  const hint = guess === undefined ? `valid: ${valid.join(', ')}` : `did you mean '${guess}'?`
  return new CloudError(
    sysErrors.invalidArgument,
    `${resource.inventory} has no field '${name}' to ${purpose}; ${hint}`,
  )
}

async function selectByKeys(
  db: Session,
  resource: Resource,
  column: string,
  keys: readonly SqlValue[],
): Promise<Inventory[]> {
  const rows: Inventory[] = []
  for (const chunk of chunks(keys)) {
    const marks = chunk.map(() => '?').join(',')
    const sql = `SELECT ${columnList(resource)} FROM \`${resource.table}\` WHERE \`${column}\` IN (${marks})`
    rows.push(...(await selectRows(db, resource, sql, chunk)))
  }
  return rows
}

/** Turns rows into inventories: parent and subclass fields, embedded collections, nothing hidden, only `fields`. */
async function present(
  db: Session,
  registry: ResourceRegistry,
  resource: Resource,
  rows: readonly Inventory[],
  fields: readonly string[] | undefined,
): Promise<Inventory[]> {
  if (rows.length === 0) return []
  const wanted = (name: string) => fields === undefined || fields.includes(name)
  const inventories = rows.map((row) => ({ ...row }))
  await addFamily(db, registry, resource, inventories)
  for (const found of registry.relationsOf(resource)) {
    if (found.relation.embedded !== true || !wanted(found.name)) continue
    await embed(db, registry, membersOf(resource, found.owner, inventories), found)
  }
  const hidden = registry.hiddenOf(resource)
  for (const inventory of inventories) {
    for (const name of hidden) delete inventory[name]
    if (fields !== undefined)
      for (const name of Object.keys(inventory)) if (!wanted(name)) delete inventory[name]
  }
  return inventories
}

async function addFamily(
  db: Session,
  registry: ResourceRegistry,
  resource: Resource,
  inventories: Inventory[],
): Promise<void> {
  const key = resource.primaryKey
  const parent = resource.parent?.resource
  const relatives = parent === undefined ? registry.childrenOf(resource) : [parent]
  for (const relative of relatives) {
    const members = membersOf(resource, relative, inventories)
    if (members.length === 0) continue
    const rows = await selectByKeys(
      db,
      relative,
      key,
      members.map((i) => i[key] as SqlValue),
    )
    const byKey = new Map(rows.map((row) => [row[key], row]))
    for (const inventory of members) Object.assign(inventory, { ...byKey.get(inventory[key]), ...inventory })
  }
}

/** Those of `inventories` that have what `relative` adds: all, unless it is a subclass of another type. */
function membersOf(resource: Resource, relative: Resource, inventories: Inventory[]): Inventory[] {
  const link = relative.parent
  if (link?.resource !== resource) return inventories
  return inventories.filter((i) => i[link.typeColumn] === link.type)
}

async function embed(
  db: Session,
  registry: ResourceRegistry,
  inventories: readonly Inventory[],
  { name, relation, target }: FoundRelation,
): Promise<void> {
  const keys = [
    ...new Set(inventories.map((i) => i[relation.column] as SqlValue).filter((k) => k !== undefined)),
  ]
  const rows = await selectByKeys(db, target, relation.otherColumn, keys)
  const shown = relation.pluck === undefined ? await present(db, registry, target, rows, undefined) : rows
  const groups = new Map<unknown, unknown[]>()
  for (const [i, row] of rows.entries()) {
    const group = groups.get(row[relation.otherColumn]) ?? []
    group.push(relation.pluck === undefined ? shown[i] : row[relation.pluck])
    groups.set(row[relation.otherColumn], group)
  }
  for (const inventory of inventories) inventory[name] = groups.get(inventory[relation.column]) ?? []
}

function chunks<T>(items: readonly T[]): T[][] {
  const out: T[][] = []
  for (let i = 0; i < items.length; i += CHUNK) out.push(items.slice(i, i + CHUNK))
  return out
}
