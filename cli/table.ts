import { harmless, padEnd, widthOf } from './terminal.ts'

type Row = Readonly<Record<string, unknown>>

// What people look for first; the others follow in the server's order as far as there is room.
const FIRST = ['name', 'uuid', 'state', 'status', 'type', 'hypervisorType', 'managementIp', 'ip']
const GAP = '  '

/** Inventories as a table: a line each, columns chosen to fit, lists as their number of items. */
export function formatTable(rows: readonly Row[], width: number | undefined): string {
  if (rows.length === 0) return ''
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const ordered = [
    ...FIRST.filter((name) => names.includes(name)),
    ...names.filter((n) => !FIRST.includes(n)),
  ]
  const columns = columnsThatFit(
    ordered.map((name) => [name, ...rows.map((row) => cell(row[name]))]),
    width,
  )
  const widths = columns.map((column) => Math.max(...column.map(widthOf)))
  const line = (i: number) =>
    columns
      .map((column, c) => padEnd(column[i] ?? '', widths[c] ?? 0))
      .join(GAP)
      .trimEnd()
  const rule = widths.map((w) => '-'.repeat(w)).join(GAP)
  return [line(0), rule, ...rows.map((_row, i) => line(i + 1))].join('\n')
}

/** One inventory, a member on each line. */
export function formatRecord(record: Row): string {
  const names = Object.keys(record)
  const width = Math.max(0, ...names.map(widthOf))
  return names.map((name) => `${padEnd(name, width)}${GAP}${cell(record[name])}`).join('\n')
}

function columnsThatFit(columns: string[][], width: number | undefined): string[][] {
  if (width === undefined) return columns
  const kept: string[][] = []
  let used = 0
  for (const column of columns) {
    const needed = Math.max(...column.map(widthOf)) + (kept.length === 0 ? 0 : GAP.length)
    if (kept.length > 0 && used + needed > width) continue
    kept.push(column)
    used += needed
  }
  return kept
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '-'
  if (Array.isArray(value)) {
    const isPlain = value.every((item) => typeof item !== 'object')
    return isPlain && value.length > 0 ? harmless(value.join(',')) : `[${value.length}]`
  }
  if (typeof value !== 'object') return harmless(String(value))
  const { code, details } = value as Readonly<Record<string, unknown>>
  const isError = typeof code === 'string' && typeof details === 'string'
  return harmless(isError ? `${code} ${details}` : JSON.stringify(value))
}
