import type { SqlValue } from './database.ts'

/** A condition on one column other than equality. */
export interface Condition<T> {
  readonly op: 'in' | '<' | '<=' | '>' | '>=' | '!=' | 'is null' | 'is not null' | 'like'
  readonly values: readonly T[]
}

/** Conditions on columns, all of which must hold. */
export type Where<T> = { readonly [K in keyof T]?: T[K] | Condition<NonNullable<T[K]>> | undefined }

// Tells increments from JSON values of the same shape, which may come from users.
const computed = Symbol('computed')

/** A new value computed from the old one in the database, so that concurrent changes add up. */
export interface Increment {
  readonly plus: number
  readonly [computed]: true
}

/** New values of columns; `undefined` sets NULL, an absent member leaves the column alone. */
export type Patch<T> = {
  readonly [K in keyof T]?: T[K] | undefined | (NonNullable<T[K]> extends number ? Increment : never)
}

export const oneOf = <T>(values: readonly T[]): Condition<T> => ({ op: 'in', values })
export const atLeast = (value: number): Condition<number> => ({ op: '>=', values: [value] })
export const atMost = (value: number): Condition<number> => ({ op: '<=', values: [value] })
export const lessThan = (value: number): Condition<number> => ({ op: '<', values: [value] })
export const not = <T>(value: T): Condition<T> => ({ op: '!=', values: [value] })
export const like = (pattern: string): Condition<string> => ({ op: 'like', values: [pattern] })
export const isNull: Condition<never> = { op: 'is null', values: [] }
export const notNull: Condition<never> = { op: 'is not null', values: [] }
export const plus = (amount: number): Increment => ({ plus: amount, [computed]: true })

export function toSql(value: unknown): SqlValue {
  if (value === undefined || value === null) return null
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value === 'object') return JSON.stringify(value)
  return value as SqlValue
}

/** Appends the values of `where` to `params` and returns ` WHERE …`, or an empty string. */
export function compileWhere(where: Readonly<Record<string, unknown>>, params: SqlValue[]): string {
  const terms: string[] = []
  for (const column in where) {
    const value = where[column]
    // Leaving the condition out would find, change or remove rows nobody meant.
    if (value === undefined)
      throw new Error(`the condition on ${column} has no value; use isNull, or leave the column out`)
    terms.push(compileTerm(`\`${column}\``, value, params))
  }
  return terms.length === 0 ? '' : ` WHERE ${terms.join(' AND ')}`
}

function compileTerm(column: string, value: unknown, params: SqlValue[]): string {
  if (!isCondition(value)) {
    params.push(toSql(value))
    return `${column} = ?`
  }
  if (value.op === 'is null' || value.op === 'is not null') return `${column} ${value.op}`
  for (const item of value.values) params.push(toSql(item))
  if (value.op !== 'in') return `${column} ${value.op} ?`
  if (value.values.length === 0) return '1 = 0'
  // What a planner without statistics takes for one row, which it does not of a list.
  if (value.values.length === 1) return `${column} = ?`
  return `${column} IN (${value.values.map(() => '?').join(',')})`
}

/** Appends the values of `patch` to `params` and returns `a = ?, b = b + ?`. */
export function compilePatch(patch: Readonly<Record<string, unknown>>, params: SqlValue[]): string {
  const terms: string[] = []
  for (const column in patch) {
    const value = patch[column]
    if (isIncrement(value)) {
      params.push(value.plus)
      terms.push(`\`${column}\` = \`${column}\` + ?`)
    } else {
      params.push(toSql(value))
      terms.push(`\`${column}\` = ?`)
    }
  }
  return terms.join(', ')
}

function isCondition(value: unknown): value is Condition<unknown> {
  return typeof value === 'object' && value !== null && 'op' in value && 'values' in value
}

function isIncrement(value: unknown): value is Increment {
  return typeof value === 'object' && value !== null && computed in value
}
