import type { Resource, Shape } from '#contract'
import { columnList, type Database, type Session, type SqlValue, selectRows } from '#db'
import { CloudError, sysErrors } from '#kernel'
import { compileConditions, type Fragment } from './compile.ts'
import { nearest } from './nearest.ts'
import { patiently } from './patiently.ts'
import {
  createIndexFinder,
  type IndexFinder,
  orderedRowids,
  type Thresholds,
  testedByRow,
  usualThresholds,
} from './plan.ts'
import type { FoundRelation, ResourceRegistry } from './registry.ts'
import type { QueryReply, QueryRequest } from './request.ts'

export type Inventory = Record<string, unknown>

/** Answers every Query API, and gives single inventories in the same form. */
export interface QueryEngine {
  readonly registry: ResourceRegistry
  query(resource: Resource, request: QueryRequest): Promise<QueryReply>
  /**
   * The inventory with this key, for the answer of a call that has done its work: a database that does not answer is asked again for
   * a while, since a failure would tell that nothing was done. Throws SYS.1003 when there is none.
   */
  view<S extends Shape>(resource: Resource<S>, key: string): Promise<Inventory>
  /** Which of `keys` do not exist. */
  missing(resource: Resource, keys: readonly string[]): Promise<string[]>
}

const DEFAULT_LIMIT = 1000
// Keys in one IN list; more go into further statements.
const CHUNK = 500

export function createQueryEngine(
  db: Database,
  registry: ResourceRegistry,
  thresholds: Thresholds = usualThresholds,
): QueryEngine {
  const ways: Ways = { indexOf: createIndexFinder(db), thresholds }
  return {
    registry,
    query: (resource, request) => answer(db, registry, resource, request, ways),
    view: async (resource, key) => {
      const inventory = await patiently(async () => {
        const rows = await selectByKeys(db, resource, resource.primaryKey, [key])
        return (await present(db, registry, resource, rows, undefined))[0]
      })
      if (inventory !== undefined) return inventory
      throw new CloudError(sysErrors.resourceNotFound, `${resource.name}[uuid:${key}] does not exist`)
    },
    missing: async (resource, keys) => {
      const key = resource.primaryKey
      const found = new Set<SqlValue | undefined>()
      for (const chunk of chunks(keys)) {
        const marks = chunk.map(() => '?').join(',')
        const sql = `SELECT \`${key}\` FROM \`${resource.table}\` WHERE \`${key}\` IN (${marks})`
        for (const [value] of await db.rows(sql, chunk)) found.add(value)
      }
      return keys.filter((k) => !found.has(k))
    },
  }
}

interface Ways {
  readonly indexOf: IndexFinder
  readonly thresholds: Thresholds
}

async function answer(
  db: Database,
  registry: ResourceRegistry,
  resource: Resource,
  request: QueryRequest,
  ways: Ways,
): Promise<QueryReply> {
  checkFields(registry, resource, request.fields ?? [])
  checkPaging(request)
  const { conditions } = request
  const compiled = async (isCount: boolean) => {
    const how = { isCount, thresholds: ways.thresholds }
    const tested = await testedByRow(db, registry, resource, conditions, how)
    return compileConditions(registry, resource, conditions, tested)
  }
  if (request.count === true) return { total: await total(db, resource, await compiled(true)) }
  const where = await compiled(false)
  const order = sortOf(registry, resource, request)
  const rows =
    order !== undefined && db.dialect === 'sqlite' && conditions.length > 0
      ? await sortedPage(db, resource, request, where, order, ways)
      : await page(db, resource, request, where, order)
  const inventories = await present(db, registry, resource, rows, request.fields)
  if (request.replyWithCount !== true) return { inventories }
  return { inventories, total: await total(db, resource, await compiled(true)) }
}

interface Sort {
  readonly column: string
  readonly direction: 'ASC' | 'DESC'
  /** Whether every row has a value there. */
  readonly isAlwaysSet: boolean
}

async function page(
  db: Session,
  resource: Resource,
  { limit = DEFAULT_LIMIT, start = 0 }: QueryRequest,
  where: Fragment,
  order: Sort | undefined,
): Promise<Inventory[]> {
  // The limit is spelled out: SQLite plans a statement anew whenever that parameter is bound.
  const sql = `SELECT ${columnList(resource)} FROM \`${resource.table}\`${where.sql}${orderBy(resource, order)} LIMIT ${limit} OFFSET ?`
  return selectRows(db, resource, sql, [...where.params, start])
}

/** Finds and sorts the rows of a page by their numbers, and reads only those that are shown. */
async function sortedPage(
  db: Database,
  resource: Resource,
  { conditions, limit = DEFAULT_LIMIT, start = 0 }: QueryRequest,
  where: Fragment,
  order: Sort,
  { indexOf, thresholds: { window } }: Ways,
): Promise<Inventory[]> {
  const isPoint = conditions.some(({ name }) => name === resource.primaryKey)
  const index = isPoint || !order.isAlwaysSet ? undefined : await indexOf(resource.table, order.column)
  const by = orderBy(resource, order)
  const found = await orderedRowids(db, resource, {
    where,
    ...order,
    orderBy: by,
    limit,
    start,
    index,
    window,
  })
  const rows: Inventory[] = []
  for (const chunk of chunks(found)) {
    const marks = chunk.map(() => '?').join(',')
    const sql = `SELECT ${columnList(resource)} FROM \`${resource.table}\` WHERE rowid IN (${marks})${by}`
    rows.push(...(await selectRows(db, resource, sql, chunk)))
  }
  return rows
}

function sortOf(registry: ResourceRegistry, resource: Resource, request: QueryRequest): Sort | undefined {
  const { sortBy: column, sortDirection } = request
  if (column === undefined) return undefined
  const found = registry.fieldOf(resource, column)
  if (found === undefined || found.owner !== resource) throw noField(registry, resource, column, 'sort by')
  const direction = sortDirection === 'desc' ? 'DESC' : 'ASC'
  return { column, direction, isAlwaysSet: found.field.required }
}

/** The key decides between equals, so that pages neither repeat nor miss rows. */
function orderBy(resource: Resource, order: Sort | undefined): string {
  if (order === undefined) return ''
  return ` ORDER BY \`${order.column}\` ${order.direction}, \`${resource.primaryKey}\``
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
  if (hidden.size === 0 && fields === undefined) return inventories
  return inventories.map((inventory) => shown(inventory, (name) => wanted(name) && !hidden.has(name)))
}

/** A copy without what is not shown: an object from which members are deleted is slow from then on. */
function shown(inventory: Inventory, isShown: (name: string) => boolean): Inventory {
  const copy: Inventory = {}
  for (const name in inventory) if (isShown(name)) copy[name] = inventory[name]
  return copy
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
