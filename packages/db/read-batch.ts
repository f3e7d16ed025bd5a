import type { Session, SqlValue } from './database.ts'
import { literal } from './sql-text.ts'
import { type Lookup, shapeOf } from './statement-shape.ts'

export type Row = Record<string, SqlValue> | SqlValue[]

/** Somebody's question; several may ask the same. */
interface Question {
  readonly params: readonly SqlValue[]
  readonly waiters: { resolve(rows: Row[]): void; reject(error: unknown): void }[]
}

/** A statement that answers one or more questions. */
export interface Query {
  readonly sql: string
  readonly params: readonly SqlValue[]
  readonly asArrays: boolean
  answer(rows: Row[]): void
  fail(error: unknown): void
}

// The order in which keys are found must not depend on collations, so only keys that have one form are put together.
const KEY = /^([0-9a-f]{32}|[1-9]\d{0,14})$/
const MAX_KEYS = 500

/**
 * Gathers what is asked at the same time: the same question is asked once, and rows that are looked up by their keys come with
 * one statement. A round trip costs twenty times what a row costs.
 */
export class ReadBatch {
  #pending = new Map<string, Map<string, Question>>()

  /** `due` is called when the first question of a batch has come. */
  readonly #due: () => void

  constructor(due: () => void) {
    this.#due = due
  }

  get isEmpty(): boolean {
    return this.#pending.size === 0
  }

  readonly session: Pick<Session, 'all' | 'rows'> = {
    all: (sql, params) => this.#ask(`o${sql}`, params) as Promise<Record<string, SqlValue>[]>,
    rows: (sql, params) => this.#ask(`a${sql}`, params) as Promise<SqlValue[][]>,
  }

  /** The statements that answer what was asked so far; the next batch begins. */
  take(): Query[] {
    const pending = this.#pending
    this.#pending = new Map()
    return [...pending].flatMap(([key, questions]) => queriesFor(key, [...questions.values()]))
  }

  #ask(key: string, params: readonly SqlValue[]): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      if (this.#pending.size === 0) this.#due()
      const questions = this.#pending.get(key) ?? new Map<string, Question>()
      this.#pending.set(key, questions)
      const paramsKey = keyOf(params)
      const question = questions.get(paramsKey)
      if (question === undefined) questions.set(paramsKey, { params, waiters: [{ resolve, reject }] })
      else question.waiters.push({ resolve, reject })
    })
  }
}

function keyOf(params: readonly SqlValue[]): string {
  let key = ''
  for (const value of params) key += `${typeof value} ${String(value)}\0`
  return key
}

function queriesFor(key: string, questions: readonly Question[]): Query[] {
  const sql = key.slice(1)
  const asArrays = key.startsWith('a')
  const shape = asArrays && questions.length > 1 ? shapeOf(sql) : undefined
  const lookup = shape?.kind === 'select' ? shape.lookup : undefined
  const byKey = lookup === undefined ? [] : questions.filter(({ params }) => KEY.test(String(params[0])))
  const queries: Query[] = []
  for (let i = 0; lookup !== undefined && i < byKey.length; i += MAX_KEYS)
    queries.push(lookupQuery(lookup, byKey.slice(i, i + MAX_KEYS)))
  const gathered = new Set(byKey)
  for (const question of questions)
    if (!gathered.has(question)) queries.push(plainQuery(sql, asArrays, question))
  return queries
}

function plainQuery(sql: string, asArrays: boolean, question: Question): Query {
  return {
    sql,
    params: question.params,
    asArrays,
    answer: (rows) => answer(question, rows),
    fail: (error) => fail(question, error),
  }
}

function lookupQuery({ head, tail, position, limit }: Lookup, questions: readonly Question[]): Query {
  const keys = questions.map(({ params }) => literal(params[0] as SqlValue))
  return {
    sql: `${head} IN (${keys.join(',')})${tail}`,
    params: [],
    asArrays: true,
    answer: (rows) => {
      const found = new Map<string, Row[]>()
      for (const row of rows as SqlValue[][]) {
        const key = String(row[position]).toLowerCase()
        const others = found.get(key)
        if (others === undefined) found.set(key, [row])
        else if (others.length < limit) others.push(row)
      }
      for (const question of questions) answer(question, found.get(String(question.params[0])) ?? [])
    },
    fail: (error) => {
      for (const question of questions) fail(question, error)
    },
  }
}

function answer({ waiters }: Question, rows: Row[]): void {
  // Each asker may do with its rows what it likes.
  for (const [i, waiter] of waiters.entries())
    waiter.resolve(i === 0 ? rows : rows.map((row) => (Array.isArray(row) ? [...row] : { ...row })))
}

function fail({ waiters }: Question, error: unknown): void {
  for (const waiter of waiters) waiter.reject(error)
}
