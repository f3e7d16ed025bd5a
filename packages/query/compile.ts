import type { Resource } from '#contract'
import type { SqlValue } from '#db'
import { CloudError, sysErrors } from '#kernel'
import { nearest } from './nearest.ts'
import type { ResourceRegistry } from './registry.ts'
import type { Operator, QueryCondition } from './request.ts'
import { readValue } from './value.ts'

/** A piece of SQL with its parameters. */
export interface Fragment {
  readonly sql: string
  readonly params: readonly SqlValue[]
}

const tagTables: ReadonlyMap<string, string> = new Map([
  ['__userTag__', 'UserTagVO'],
  ['__systemTag__', 'SystemTagVO'],
])
// SQLite gives up at a depth of 1,000 expressions; nobody asks for that by hand.
const MAX_CONDITIONS = 200
const MAX_PATH = 12
const negations: Partial<Record<Operator, Operator>> = {
  '!=': '=',
  'not in': 'in',
  'not like': 'like',
  'is null': 'is not null',
}

/**
 * Compiles conditions on `resource` into one WHERE clause. A path over relations becomes nested `IN (SELECT …)`, which the
 * database answers from the indexes of the joined columns; nothing is joined, so nothing is doubled. Those in `testedByRow` become
 * `EXISTS (SELECT …)` instead, which gathers nothing and is asked for each row that the others leave.
 */
export function compileConditions(
  registry: ResourceRegistry,
  resource: Resource,
  conditions: readonly QueryCondition[],
  testedByRow: ReadonlySet<QueryCondition> = new Set(),
): Fragment {
  if (conditions.length > MAX_CONDITIONS) {
    const details = `a query has at most ${MAX_CONDITIONS} conditions, got ${conditions.length}`
    throw new CloudError(sysErrors.invalidArgument, details)
  }
  const fragments = conditions.map((c) =>
    testedByRow.has(c) ? compileTest(registry, resource, c) : compilePath(registry, resource, c, pathOf(c)),
  )
  if (fragments.length === 0) return { sql: '', params: [] }
  return {
    sql: ` WHERE ${fragments.map((f) => f.sql).join(' AND ')}`,
    params: fragments.flatMap((f) => f.params),
  }
}

/**
 * What a condition over a relation to many gathers, as a statement to count: one row for each related object that matches. Undefined
 * for all other conditions.
 */
export function gatheredBy(
  registry: ResourceRegistry,
  resource: Resource,
  condition: QueryCondition,
): Fragment | undefined {
  const many = manyOf(registry, resource, condition)
  if (many === undefined) return undefined
  const { found, rest } = many
  const inner = compilePath(registry, found.target, condition, rest)
  return { sql: `SELECT 1 FROM \`${found.target.table}\` WHERE ${inner.sql}`, params: inner.params }
}

function compileTest(registry: ResourceRegistry, resource: Resource, condition: QueryCondition): Fragment {
  const many = manyOf(registry, resource, condition)
  if (many === undefined) return compilePath(registry, resource, condition, pathOf(condition))
  const { relation, target } = many.found
  const inner = compilePath(registry, target, condition, many.rest)
  const same = `\`${target.table}\`.\`${relation.otherColumn}\` = \`${resource.table}\`.\`${relation.column}\``
  return {
    sql: `EXISTS (SELECT 1 FROM \`${target.table}\` WHERE ${same} AND ${inner.sql})`,
    params: inner.params,
  }
}

/** The relation to many a condition begins with, and the path from there. */
function manyOf(registry: ResourceRegistry, resource: Resource, condition: QueryCondition) {
  const path = pathOf(condition)
  const alias = registry.aliasOf(resource, path[0] ?? '')
  const [head = '', ...rest] = alias === undefined ? path : [...alias.split('.'), ...path.slice(1)]
  const found = rest.length === 0 ? undefined : registry.relationOf(resource, head)
  if (found === undefined || found.owner !== resource || found.target.table === resource.table)
    return undefined
  return found.relation.otherColumn === found.target.primaryKey ? undefined : { found, rest }
}

function pathOf(condition: QueryCondition): string[] {
  const path = condition.name.split('.')
  if (path.length <= MAX_PATH) return path
  const details = `a path has at most ${MAX_PATH} names, got ${path.length}: '${condition.name.slice(0, 80)}…'`
  throw new CloudError(sysErrors.invalidArgument, details)
}

function compilePath(
  registry: ResourceRegistry,
  resource: Resource,
  condition: QueryCondition,
  path: readonly string[],
): Fragment {
  const [head = '', ...rest] = path
  const alias = registry.aliasOf(resource, head)
  if (alias !== undefined) return compilePath(registry, resource, condition, [...alias.split('.'), ...rest])
  const tags = tagTables.get(head)
  if (rest.length === 0)
    return tags === undefined
      ? compileField(registry, resource, condition, head)
      : compileTag(registry, resource, condition, tags)
  const found = registry.relationOf(resource, head)
  if (found === undefined) throw unknownName(registry, resource, condition, head, true)
  const inner = compilePath(registry, found.target, condition, rest)
  const { column, otherColumn } = found.relation
  const test = {
    sql: `\`${column}\` IN (SELECT \`${otherColumn}\` FROM \`${found.target.table}\` WHERE ${inner.sql})`,
    params: inner.params,
  }
  return inTableOf(found.owner, resource, test)
}

/** The column may lie in the table of the parent or of a subclass, which shares the key. */
function inTableOf(owner: Resource, resource: Resource, test: Fragment): Fragment {
  if (owner === resource) return test
  const key = `\`${resource.primaryKey}\``
  return { sql: `${key} IN (SELECT ${key} FROM \`${owner.table}\` WHERE ${test.sql})`, params: test.params }
}

function compileField(
  registry: ResourceRegistry,
  resource: Resource,
  condition: QueryCondition,
  name: string,
): Fragment {
  const found = registry.fieldOf(resource, name)
  if (found === undefined) {
    const pluck = registry.relationOf(resource, name)?.relation.pluck
    if (pluck !== undefined) return compilePath(registry, resource, condition, [name, pluck])
    throw unknownName(registry, resource, condition, name, false)
  }
  const read = (text: string) => readValue(found.field, text, condition.name)
  return inTableOf(found.owner, resource, compareColumn(`\`${name}\``, condition, read))
}

function compileTag(
  registry: ResourceRegistry,
  resource: Resource,
  condition: QueryCondition,
  table: string,
): Fragment {
  if (registry.byVoName(table) === undefined)
    throw new CloudError(
      sysErrors.invalidArgument,
      `'${condition.name}' needs the tag plugin, which is not loaded`,
    )
  const positive = negations[condition.op]
  const test = compareColumn('`tag`', { ...condition, op: positive ?? condition.op }, (text) => text)
  const set = `(SELECT \`resourceUuid\` FROM \`${table}\` WHERE ${test.sql})`
  return {
    sql: `\`${resource.primaryKey}\` ${positive === undefined ? 'IN' : 'NOT IN'} ${set}`,
    params: test.params,
  }
}

function compareColumn(
  column: string,
  condition: QueryCondition,
  read: (text: string) => SqlValue,
): Fragment {
  const { op } = condition
  if (op === 'is null' || op === 'is not null') return { sql: `${column} ${op.toUpperCase()}`, params: [] }
  const value = condition.value
  if (value === undefined) {
    throw new CloudError(
      sysErrors.invalidArgument,
      `the condition on '${condition.name}' with '${op}' needs a value`,
    )
  }
  if (op === 'in' || op === 'not in') {
    const items = value.split(',').map((item) => read(item.trim()))
    return { sql: `${column} ${op.toUpperCase()} (${items.map(() => '?').join(',')})`, params: items }
  }
  if (op === 'like' || op === 'not like') return { sql: `${column} ${op.toUpperCase()} ?`, params: [value] }
  return { sql: `${column} ${op} ?`, params: [read(value)] }
}

function unknownName(
  registry: ResourceRegistry,
  resource: Resource,
  condition: QueryCondition,
  name: string,
  asRelation: boolean,
): CloudError {
  const relations = registry.relationsOf(resource).map((found) => found.name)
  const fields = registry.fieldNamesOf(resource)
  const candidates = asRelation ? [...relations, ...Object.keys(resource.aliases)] : [...fields, ...relations]
  const guess = nearest(name, candidates)
  const hint = guess === undefined ? `valid: ${candidates.join(', ')}` : `did you mean '${guess}'?`
  const what = asRelation ? 'related resource' : 'field'
  const where = condition.name === name ? '' : ` (in '${condition.name}')`
  return new CloudError(
    sysErrors.invalidArgument,
    `${resource.inventory} has no queryable ${what} '${name}'${where}; ${hint}`,
    {
      opaque: { field: condition.name },
    },
  )
}
