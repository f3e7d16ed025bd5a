import type { Session, SqlValue } from '#db'

export type Row = Readonly<Record<string, SqlValue>>

export const rowsOf = async (db: Session, table: string): Promise<Row[]> =>
  db.all(`SELECT * FROM ${table}`, [])

/** Values of a column that more than one row has. */
export function repeated(rows: readonly Row[], keyOf: (row: Row) => string): string[] {
  const counts = new Map<string, number>()
  for (const row of rows) counts.set(keyOf(row), (counts.get(keyOf(row)) ?? 0) + 1)
  return [...counts].filter(([, count]) => count > 1).map(([key]) => key)
}
