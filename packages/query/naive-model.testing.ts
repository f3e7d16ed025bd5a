import type { Resource } from '#contract'
import type { ResourceRegistry } from './registry.ts'
import type { Operator, QueryCondition, QueryRequest } from './request.ts'

/** The same answers as the query engine, computed the slow and obvious way over rows in memory. */

export type ModelRow = Readonly<Record<string, string | number | boolean | undefined>>
export type ModelRows = Readonly<Record<string, readonly ModelRow[]>>

type Value = ModelRow[string]
const negative: Partial<Record<Operator, Operator>> = {
  '!=': '=',
  'not in': 'in',
  'not like': 'like',
  'is null': 'is not null',
}

/** Keys of the rows a request selects; in order when it sorts. */
export function modelAnswer(
  registry: ResourceRegistry,
  rows: ModelRows,
  resource: Resource,
  request: QueryRequest,
): string[] {
  const matching = (rows[resource.table] ?? []).filter((row) =>
    request.conditions.every((c) => holds(registry, rows, resource, row, c, c.name.split('.'))),
  )
  const { sortBy } = request
  if (sortBy === undefined) return matching.map((row) => String(row.uuid)).toSorted()
  const exact = /uuid$/i.test(sortBy)
  const sign = request.sortDirection === 'desc' ? -1 : 1
  const sorted = matching.toSorted(
    (a, b) => sign * order(a[sortBy], b[sortBy], exact) || (String(a.uuid) < String(b.uuid) ? -1 : 1),
  )
  const start = request.start ?? 0
  return sorted.slice(start, start + (request.limit ?? 1000)).map((row) => String(row.uuid))
}

function holds(
  registry: ResourceRegistry,
  rows: ModelRows,
  resource: Resource,
  row: ModelRow,
  condition: QueryCondition,
  path: readonly string[],
): boolean {
  const [head = '', ...rest] = path
  const alias = Object.entries(resource.aliases).find(([name]) => name === head)?.[1]
  if (alias !== undefined)
    return holds(registry, rows, resource, row, condition, [...alias.split('.'), ...rest])
  if (head === '__userTag__' || head === '__systemTag__') return hasTag(rows, row, condition, head)
  // The row's family: itself, its parent's row, its subclasses' rows, all of one key.
  const family = [resource, resource.parent?.resource, ...registry.childrenOf(resource)].filter(
    (r) => r !== undefined,
  )
  for (const member of family) {
    const own = member === resource ? row : (rows[member.table] ?? []).find((r) => r.uuid === row.uuid)
    const relation = member.relations[head]
    if (rest.length > 0 && relation !== undefined) {
      const target = registry.byInventory(relation.to) as Resource
      const key = own?.[relation.column]
      if (key === undefined) return false
      const related = (rows[target.table] ?? []).filter((r) => r[relation.otherColumn] === key)
      return related.some((r) => holds(registry, rows, target, r, condition, rest))
    }
    if (rest.length === 0 && member.fields[head] !== undefined)
      return own !== undefined && compare(own[head], condition, /uuid$/i.test(head))
  }
  throw new Error(`the model does not know ${path.join('.')}`)
}

function hasTag(rows: ModelRows, row: ModelRow, condition: QueryCondition, kind: string): boolean {
  const all = rows[kind === '__userTag__' ? 'UserTagVO' : 'SystemTagVO'] ?? []
  const tags = all.filter((t) => t.resourceUuid === row.uuid)
  const positive = negative[condition.op]
  return positive === undefined
    ? tags.some((t) => compare(t.tag, condition, false))
    : !tags.some((t) => compare(t.tag, { ...condition, op: positive }, false))
}

function compare(stored: Value, { op, value = '' }: QueryCondition, exact: boolean): boolean {
  if (op === 'is null') return stored === undefined
  if (op === 'is not null') return stored !== undefined
  if (stored === undefined) return false
  const read = (text: string): Value =>
    typeof stored === 'number' ? Number(text) : typeof stored === 'boolean' ? text === 'true' : text
  const to = (text: string) => order(stored, read(text), exact)
  switch (op) {
    case '=':
      return to(value) === 0
    case '!=':
      return to(value) !== 0
    case '<':
      return to(value) < 0
    case '<=':
      return to(value) <= 0
    case '>':
      return to(value) > 0
    case '>=':
      return to(value) >= 0
    case 'in':
      return value.split(',').some((item) => to(item.trim()) === 0)
    case 'not in':
      return value.split(',').every((item) => to(item.trim()) !== 0)
    case 'like':
      return likes(String(stored), value)
    case 'not like':
      return !likes(String(stored), value)
  }
}

/** NULL first, then by value; text without regard to case unless `exact`. */
const isMariadb = process.env.ZSTACK_TEST_DB?.startsWith('mariadb') === true
const collator = new Intl.Collator('und', { sensitivity: 'accent' })

function order(a: Value, b: Value, exact: boolean): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  // MariaDB puts marks in the order of Unicode's collation, SQLite in that of ASCII.
  if (isMariadb && typeof a === 'string' && typeof b === 'string' && !exact) return collator.compare(a, b)
  const [x, y] = [a, b].map((v) => (typeof v === 'string' && !exact ? v.toLowerCase() : v)) as [
    string,
    string,
  ]
  return x < y ? -1 : x > y ? 1 : 0
}

/** % for any text, _ for one character, without regard to case: by recursion, without any regular expression. */
function likes(text: string, pattern: string): boolean {
  if (pattern === '') return text === ''
  const [head, rest] = [pattern[0], pattern.slice(1)]
  if (head === '%') return likes(text, rest) || (text !== '' && likes(text.slice(1), pattern))
  if (text === '') return false
  return (head === '_' || head?.toLowerCase() === text[0]?.toLowerCase()) && likes(text.slice(1), rest)
}
