import type { SqlValue } from './database.ts'

/**
 * What a statement reads or changes, as far as its text tells: the way to know, without asking the database, that a change
 * leaves an answer as it was. Whatever is not understood counts as everything.
 */

/** The rows a statement is about: those of a table in which all of these columns have these values. */
export interface Rows {
  readonly table: string
  readonly values: ReadonlyMap<string, SqlValue>
}

interface Place {
  readonly column: string
  /** Which parameter holds the value. */
  readonly index: number
}

interface Select {
  readonly kind: 'select'
  readonly table: string
  readonly equals: readonly Place[]
  /** Set when rows of several keys can be asked for at once. */
  readonly lookup: Lookup | undefined
  /** Asks for rows of something that is named, which takes no time worth mentioning. */
  readonly isQuick: boolean
}

/** A select by one column: `head` + ` IN (keys)` + `tail`; the column is the one at `position` of each row. */
export interface Lookup {
  readonly head: string
  readonly tail: string
  readonly position: number
  /** How many rows of each key are wanted. */
  readonly limit: number
}

interface Change {
  readonly kind: 'insert' | 'update' | 'delete'
  readonly table: string
  /** Columns whose value is the same in every row it changes, before and after. */
  readonly equals: readonly Place[]
}

type Shape = Select | Change

const shapes = new Map<string, Shape | undefined>()
// Conditions come in endless shapes; forget all rather than grow without end.
const MAX_SHAPES = 4_000

export function shapeOf(sql: string): Shape | undefined {
  let shape = shapes.get(sql)
  if (shape === undefined && !shapes.has(sql)) {
    shape = parse(sql)
    if (shapes.size >= MAX_SHAPES) shapes.clear()
    shapes.set(sql, shape)
  }
  return shape
}

/** The rows a statement is about, or undefined when its text does not tell. */
export function rowsOf(shape: Shape | undefined, params: readonly SqlValue[]): Rows | undefined {
  if (shape === undefined) return undefined
  const values = new Map<string, SqlValue>()
  for (const { column, index } of shape.equals) values.set(column, params[index] ?? null)
  return { table: shape.table, values }
}

/** False only when the two values surely differ, in every collation we use. */
export function mayBeEqual(a: SqlValue, b: SqlValue): boolean {
  // NULL is equal to nothing.
  if (a === null || b === null) return false
  if (typeof a === 'string' && typeof b === 'string')
    return a === b || !isPlain(a) || !isPlain(b) || a.toLowerCase() === b.toLowerCase()
  if (isNumber(a) && isNumber(b)) return Number(a) === Number(b)
  return true
}

const isNumber = (value: SqlValue) => typeof value === 'number' || typeof value === 'bigint'
// Unicode has letters that are equal although they look different, and characters that do not count.
const isPlain = (text: string) => /^[\x20-\x7e]*$/.test(text)

const SELECT =
  /^SELECT ([^()?]+|COUNT\(\*\) AS n) FROM `(\w+)`(?: WHERE (.+?))?((?: ORDER BY [`\w, ]+)?)((?: LIMIT \d+(?: OFFSET \d+)?)?)$/
const INSERT = /^INSERT INTO `(\w+)` \(([`\w, ]+)\) VALUES \(\?(?:, ?\?)*\)$/
const UPDATE = /^UPDATE `(\w+)` SET (.+?) WHERE (.+)$/
const DELETE = /^DELETE FROM `(\w+)` WHERE (.+)$/
const TERM = /^(?:`(\w+)` (?:(=|<|<=|>|>=|!=|like) \?|is null|is not null|IN \((\?(?:,\?)*)\))|1 = 0)$/
const NAMED = /`uuid` IN \(/
const ASSIGNMENT = /^`(\w+)` = (?:`\w+` \+ )?\?$/

function parse(sql: string): Shape | undefined {
  const select = SELECT.exec(sql)
  if (select !== null) return parseSelect(select)
  const insert = INSERT.exec(sql)
  if (insert !== null) {
    const columns = (insert[2] as string).split(',').map(unquote)
    return {
      kind: 'insert',
      table: insert[1] as string,
      equals: columns.map((column, index) => ({ column, index })),
    }
  }
  const [, table = '', set, where = ''] = UPDATE.exec(sql) ?? []
  if (set !== undefined) return parseUpdate(table, set.split(', '), where)
  const remove = DELETE.exec(sql)
  const equals = remove === null ? undefined : parseWhere(remove[2] as string, 0)
  return equals === undefined ? undefined : { kind: 'delete', table: remove?.[1] as string, equals }
}

function parseSelect([, list = '', table = '', where, order = '', limit = '']: RegExpExecArray):
  | Shape
  | undefined {
  const equals = where === undefined ? [] : parseWhere(where, 0)
  if (equals === undefined) return undefined
  const [only] = equals
  const columns = list.split(',').map(unquote)
  // Of rows that share a value, a limit would have to be kept for each of them.
  const isUnique = only?.column === 'uuid' && limit === ' LIMIT 1'
  const isQuick = list !== 'COUNT(*) AS n' && (equals.length > 0 || NAMED.test(where ?? ''))
  const isLookup = where === `\`${only?.column}\` = ?` || where === `\`${only?.column}\` IN (?)`
  if (only === undefined || !isLookup || !(limit === '' || isUnique) || !columns.includes(only.column))
    return { kind: 'select', table, equals, lookup: undefined, isQuick }
  const head = `SELECT ${list} FROM \`${table}\` WHERE \`${only.column}\``
  return {
    kind: 'select',
    table,
    equals,
    isQuick,
    lookup: {
      head,
      tail: order,
      position: columns.indexOf(only.column),
      limit: isUnique ? 1 : Number.POSITIVE_INFINITY,
    },
  }
}

function parseUpdate(table: string, assignments: readonly string[], where: string): Shape | undefined {
  const set = assignments.map((text) => ASSIGNMENT.exec(text)?.[1])
  const equals = parseWhere(where, set.length)
  if (equals === undefined || set.includes(undefined)) return undefined
  return { kind: 'update', table, equals: equals.filter(({ column }) => !set.includes(column)) }
}

/** The equalities among conditions that all must hold; undefined when one is not understood. */
function parseWhere(where: string, firstParameter: number): Place[] | undefined {
  const equals: Place[] = []
  let index = firstParameter
  for (const term of where.split(' AND ')) {
    const match = TERM.exec(term)
    if (match === null) return undefined
    const [, column = '', operator, list] = match
    const parameters = list === undefined ? (operator === undefined ? 0 : 1) : list.split(',').length
    if (operator === '=' || (list !== undefined && parameters === 1)) equals.push({ column, index })
    index += parameters
  }
  return equals
}

function unquote(name: string): string {
  return name.replaceAll('`', '').trim()
}
