import type { SqlValue } from './database.ts'

/**
 * Statements with their values written out, so that many go to the server in one packet. Safe whatever the mode and the
 * character set of the session: text that holds anything but harmless characters is written as the digits of its bytes.
 */

const HARMLESS = /^[\w .,:;/@{}[\]()"=+*-]*$/

export function literal(value: SqlValue): string {
  if (value === null) return 'NULL'
  if (typeof value === 'string') {
    if (HARMLESS.test(value)) return `'${value}'`
    return `_utf8mb4 x'${Buffer.from(value, 'utf8').toString('hex')}'`
  }
  if (value instanceof Uint8Array) return `x'${Buffer.from(value).toString('hex')}'`
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`${value} cannot be stored`)
  return String(value)
}

/** Puts the values in the place of the question marks; a statement holds no others. */
export function writeOut(sql: string, params: readonly SqlValue[]): string {
  const parts = sql.split('?')
  if (parts.length !== params.length + 1)
    throw new Error(`${parts.length - 1} values are wanted, ${params.length} given: ${sql}`)
  let text = parts[0] as string
  for (let i = 1; i < parts.length; i += 1) text += literal(params[i - 1] as SqlValue) + parts[i]
  return text
}

/** A statement and what its question marks stand for. */
export interface Statement {
  readonly sql: string
  readonly params: readonly SqlValue[]
}

/**
 * The changes as few statements: each table's in their order, neighbours that insert into the same columns as one. `of` tells
 * which of the changes each statement stands for.
 */
export function combine<T extends Statement & { readonly table: string }>(
  changes: readonly T[],
): { text: string; of: T[] }[] {
  const tables = new Map<string, { text: string; of: T[] }[]>()
  for (const change of changes) {
    let statements = tables.get(change.table)
    if (statements === undefined) {
      statements = []
      tables.set(change.table, statements)
    }
    const last = statements.at(-1)
    const text = writeOut(change.sql, change.params)
    const isNeighbour = last?.of[0]?.sql === change.sql && change.sql.startsWith('INSERT')
    if (isNeighbour && last !== undefined && last.of.length < MAX_ROWS) {
      last.text += `,${text.slice(change.sql.indexOf(' VALUES ') + ' VALUES '.length)}`
      last.of.push(change)
    } else statements.push({ text, of: [change] })
  }
  return [...tables.values()].flat()
}

const MAX_ROWS = 500
