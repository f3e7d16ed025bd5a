import type { Resource } from '#contract'
import type { Database, SqlValue } from '#db'
import { type Fragment, gatheredBy } from './compile.ts'
import type { ResourceRegistry } from './registry.ts'
import type { QueryCondition } from './request.ts'

// What SQLite is told because it cannot know: it guesses every `IN (SELECT …)` to give 25 rows, and does not weigh a limit. MariaDB
// estimates both by itself.

/** Where one way of finding rows gives way to another; answers are the same. */
export interface Thresholds {
  /** So many related objects are gathered without a second thought, */
  readonly few: number
  /** and so many when nothing else narrows the search. */
  readonly notTooMany: number
  /** Rows looked at in the order asked for before all matches are gathered and sorted. */
  readonly window: number
}

export const usualThresholds: Thresholds = { few: 1_000, notTooMany: 20_000, window: 16_384 }

/**
 * The conditions over relations to many that match so many objects (all NICs of a big network) that gathering them would cost more than
 * asking for each row the other conditions leave. A count has to see every match, so it gathers more readily.
 */
export async function testedByRow(
  db: Database,
  registry: ResourceRegistry,
  resource: Resource,
  conditions: readonly QueryCondition[],
  how: { readonly isCount: boolean; readonly thresholds: Thresholds },
): Promise<Set<QueryCondition>> {
  const { isCount, thresholds } = how
  const tested = new Set<QueryCondition>()
  if (db.dialect !== 'sqlite') return tested
  const many = conditions.filter((c) => gatheredBy(registry, resource, c) !== undefined)
  if (many.length === 0 || (isCount && conditions.length === 1)) return tested
  const isAtMost = async (condition: QueryCondition, limit: number) => {
    const gathered = gatheredBy(registry, resource, condition) as Fragment
    const sql = `SELECT COUNT(*) AS n FROM (${gathered.sql} LIMIT ${limit + 1})`
    return Number((await db.rows(sql, gathered.params))[0]?.[0]) <= limit
  }
  for (const condition of many)
    if (!(await isAtMost(condition, isCount ? thresholds.notTooMany : thresholds.few))) tested.add(condition)
  // Something must lead to the rows: what is not too many, or for a count whatever there is.
  if (tested.size < conditions.length) return tested
  for (const condition of many) {
    if (!isCount && !(await isAtMost(condition, thresholds.notTooMany))) continue
    tested.delete(condition)
    break
  }
  return tested
}

/** The name of an index by which a table can be read in the order of a column. */
export type IndexFinder = (table: string, column: string) => Promise<string | undefined>

/** Looks once for each column; indexes do not change while the process runs. */
export function createIndexFinder(db: Database): IndexFinder {
  const known = new Map<string, string | undefined>()
  const sql =
    'SELECT l.name FROM pragma_index_list(?) l JOIN pragma_index_info(l.name) i WHERE i.seqno = 0 AND i.name = ? AND l.partial = 0'
  return async (table, column) => {
    const key = `${table}.${column}`
    if (known.has(key)) return known.get(key)
    const [found] = await db.rows(sql, [table, column])
    const name = found === undefined ? undefined : String(found[0])
    known.set(key, name)
    return name
  }
}

interface OrderedPage {
  readonly where: Fragment
  readonly column: string
  readonly direction: 'ASC' | 'DESC'
  readonly orderBy: string
  readonly limit: number
  readonly start: number
  /** By which rows can be read in the order asked for; never for a column that may be NULL. */
  readonly index: string | undefined
  readonly window: number
}

/**
 * Numbers of the rows of one page of matches, in order. When many rows match, the page is found among the first few thousand rows of
 * that order; when it is not, few rows match, and sorting all of them is cheap. Either way the cost is bounded.
 */
export async function orderedRowids(
  db: Database,
  resource: Resource,
  { where, column, direction, orderBy, limit, start, index, window }: OrderedPage,
): Promise<SqlValue[]> {
  const table = `\`${resource.table}\``
  const rowids = async (source: string) => {
    const sql = `SELECT rowid FROM ${source}${orderBy} LIMIT ${limit} OFFSET ?`
    return (await db.rows(sql, [...where.params, start])).map(([one]) => one as SqlValue)
  }
  if (index !== undefined) {
    let rows = window
    while (rows < start + limit) rows *= 2
    const name = `\`${column}\``
    const last = `SELECT ${name} FROM ${table} ORDER BY ${name} ${direction} LIMIT 1 OFFSET ${rows}`
    const isWithin = `${name} ${direction === 'ASC' ? '<=' : '>='} (${last})`
    const first = await rowids(`${table} INDEXED BY \`${index}\`${where.sql} AND ${isWithin}`)
    if (first.length === limit) return first
  }
  return rowids(`${table}${where.sql}`)
}
