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

const tagTables: Readonly<Record<string, string>> = { __userTag__: 'UserTagVO', __systemTag__: 'SystemTagVO' }
const negations: Partial<Record<Operator, Operator>> = {
  '!=': '=',
  'not in': 'in',
  'not like': 'like',
  'is null': 'is not null',
}

/**
 * Compiles conditions on `resource` into one WHERE clause. A path over relations becomes nested `IN (SELECT …)`, which the
 * database answers from the indexes of the joined columns; nothing is joined, so nothing is doubled.
 */
export function compileConditions(
  registry: ResourceRegistry,
  resource: Resource,
  conditions: readonly QueryCondition[],
): Fragment {
  const fragments = conditions.map((c) => compilePath(registry, resource, c, c.name.split('.')))
  if (fragments.length === 0) return { sql: '', params: [] }
  return {
    sql: ` WHERE ${fragments.map((f) => f.sql).join(' AND ')}`,
    params: fragments.flatMap((f) => f.params),
  }
}

function compilePath(
  registry: ResourceRegistry,
  resource: Resource,
  condition: QueryCondition,
  path: readonly string[],
): Fragment {
  const [head = '', ...rest] = path
  const alias = resource.aliases[head]
  if (alias !== undefined) return compilePath(registry, resource, condition, [...alias.split('.'), ...rest])
  const tags = tagTables[head]
  if (rest.length === 0)
    return tags === undefined
      ? compileField(registry, resource, condition, head)
      : compileTag(resource, condition, tags)
  const found = registry.relationOf(resource, head)
  if (found === undefined) throw unknownName(registry, resource, condition, head, true)
  const inner = compilePath(registry, found.target, condition, rest)
  const { column, otherColumn } = found.relation
  return {
    sql: `\`${column}\` IN (SELECT \`${otherColumn}\` FROM \`${found.target.table}\` WHERE ${inner.sql})`,
    params: inner.params,
  }
}

function compileField(
  registry: ResourceRegistry,
  resource: Resource,
  condition: QueryCondition,
  name: string,
): Fragment {
  const found = registry.fieldOf(resource, name)
  if (found === undefined) {
    const plucked = resource.relations[name]
    if (plucked?.pluck !== undefined) return compilePath(registry, resource, condition, [name, plucked.pluck])
    throw unknownName(registry, resource, condition, name, false)
  }
  const read = (text: string) => readValue(found.field, text, condition.name)
  const test = compareColumn(`\`${name}\``, condition, read)
  if (found.owner === resource) return test
  // The column lies in the table of the parent or of a subclass, which shares the key.
  const key = `\`${resource.primaryKey}\``
  return {
    sql: `${key} IN (SELECT ${key} FROM \`${found.owner.table}\` WHERE ${test.sql})`,
    params: test.params,
  }
}

function compileTag(resource: Resource, condition: QueryCondition, table: string): Fragment {
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
  const relations = Object.keys(resource.relations).filter(
    (r) => registry.relationOf(resource, r) !== undefined,
  )
  const fields = Object.keys(resource.fields).filter((f) => !resource.hidden.includes(f))
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
