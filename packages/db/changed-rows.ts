import type { SqlValue } from './database.ts'
import { mayBeEqual, type Rows } from './statement-shape.ts'

/** What was changed so far; tells which answers are still what they were. */
export class ChangedRows {
  readonly #tables = new Map<string, Changes>()
  #everything = false

  /** Undefined: it may have changed anything. */
  add(rows: Rows | undefined): void {
    if (rows === undefined) {
      this.#everything = true
      return
    }
    let changes = this.#tables.get(rows.table)
    if (changes === undefined) {
      changes = { all: [], columns: new Map() }
      this.#tables.set(rows.table, changes)
    }
    changes.all.push(rows)
  }

  /** True unless what was changed surely does not belong to `read`. Undefined: it is about anything. */
  touch(read: Rows | undefined): boolean {
    if (this.#everything) return true
    if (read === undefined) return this.#tables.size > 0
    const changes = this.#tables.get(read.table)
    if (changes === undefined) return false
    // Nearly always one column tells.
    for (const [column, value] of read.values) if (!mayHave(changes, column, value)) return false
    return changes.all.some((change) => overlap(change, read))
  }
}

interface Changes {
  readonly all: Rows[]
  readonly columns: Map<string, ColumnIndex>
}

/** The values changed rows have in a column, of the first `seen` changes. */
interface ColumnIndex {
  readonly values: Set<string>
  seen: number
  /** A change does not tell its value of this column, or one that cannot be compared as text. */
  isVague: boolean
}

/** False when no change is about rows with this value in this column. */
function mayHave({ all, columns }: Changes, column: string, value: SqlValue): boolean {
  const key = keyOf(value)
  if (key === undefined) return true
  let index = columns.get(column)
  if (index === undefined) {
    index = { values: new Set(), seen: 0, isVague: false }
    columns.set(column, index)
  }
  for (; index.seen < all.length; index.seen += 1) {
    const changed = keyOf(all[index.seen]?.values.get(column))
    if (changed === undefined) index.isVague = true
    else index.values.add(changed)
  }
  return index.isVague || index.values.has(key)
}

/** Values with different keys surely differ. */
function keyOf(value: SqlValue | undefined): string | undefined {
  if (value === null) return '\0'
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  return typeof value === 'string' && /^[\x20-\x7e]*$/.test(value) ? value.toLowerCase() : undefined
}

function overlap(change: Rows, read: Rows): boolean {
  for (const [column, value] of read.values) {
    const changed = change.values.get(column)
    if (changed !== undefined && !mayBeEqual(changed, value)) return false
  }
  return true
}
