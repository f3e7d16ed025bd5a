import type { Session, SqlValue } from '#db'
import type { Outcome } from './patient-client.ts'

/** What must be true of a row at the end; columns and the values they may have. */
type Expectation =
  | { readonly is: 'gone' }
  | { readonly is: 'there'; readonly columns: Readonly<Record<string, readonly (string | null)[]>> }

interface Entry {
  readonly table: string
  expected: Expectation
}

/**
 * What clients were told, and what they may therefore rely on. An object with a call nobody knows the end of is in doubt from then
 * on, as that call may be done at any time; the auditor still looks at it.
 */
export class Ledger {
  readonly #entries = new Map<string, Entry>()
  readonly #doubted = new Set<string>()
  readonly #counts = { ok: 0, refused: 0, unknown: 0 }
  readonly #onRealHosts = { ok: 0, refused: 0, unknown: 0 }
  readonly #tookMs: number[] = []
  readonly #refusals = new Map<string, number>()

  count(api: string, outcome: Outcome, { tookMs, isReal }: { tookMs: number; isReal: boolean }): void {
    this.#counts[outcome.kind] += 1
    if (isReal) this.#onRealHosts[outcome.kind] += 1
    this.#tookMs.push(tookMs)
    if (outcome.kind !== 'refused') return
    const what = `${api} ${outcome.code}`
    this.#refusals.set(what, (this.#refusals.get(what) ?? 0) + 1)
  }

  there(
    table: string,
    uuid: string,
    columns: Readonly<Record<string, readonly (string | null)[]>> = {},
  ): void {
    this.#entries.set(uuid, { table, expected: { is: 'there', columns } })
  }

  gone(table: string, uuid: string): void {
    this.#entries.set(uuid, { table, expected: { is: 'gone' } })
  }

  doubt(uuid: string): void {
    this.#doubted.add(uuid)
  }

  isDoubted(uuid: string): boolean {
    return this.#doubted.has(uuid)
  }

  get operations(): number {
    const { ok, refused, unknown } = this.#counts
    return ok + refused + unknown
  }

  summary(): string {
    const most = [...this.#refusals].sort((a, b) => b[1] - a[1]).slice(0, 12)
    const sure = [...this.#entries.keys()].filter((uuid) => !this.#doubted.has(uuid)).length
    return [
      `operations: ${tell(this.#counts)}`,
      `of them on real hosts: ${tell(this.#onRealHosts)}`,
      `an operation took ${this.#times()}`,
      `objects clients are sure of: ${sure} of ${this.#entries.size}`,
      `refusals: ${most.map(([what, count]) => `${count} × ${what}`).join(', ')}`,
    ].join('\n')
  }

  #times(): string {
    const sorted = this.#tookMs.toSorted((a, b) => a - b)
    const at = (part: number) => `${Math.round(sorted[Math.floor(part * (sorted.length - 1))] ?? 0)} ms`
    const long = sorted.filter((tookMs) => tookMs > 2_000)
    const seconds = (all: readonly number[]) => Math.round(all.reduce((sum, ms) => sum + ms, 0) / 1_000)
    const share = `${seconds(long)} of ${seconds(sorted)} s were waited in the ${long.length} that took more than 2 s`
    return `${at(0.5)}, nine of ten up to ${at(0.9)}, the longest ${at(1)}; ${share}`
  }

  /** One sentence for each promise that was not kept. */
  async verify(db: Session): Promise<string[]> {
    const found: string[] = []
    const byTable = Map.groupBy(this.#entries, ([, { table }]) => table)
    for (const [table, entries] of byTable) {
      const rows = new Map((await db.all(`SELECT * FROM ${table}`, [])).map((row) => [row.uuid, row]))
      for (const [uuid, { expected }] of entries)
        if (!this.#doubted.has(uuid)) found.push(...judge(`${table} ${uuid}`, expected, rows.get(uuid)))
    }
    return found
  }
}

const tell = ({ ok, refused, unknown }: Readonly<Record<Outcome['kind'], number>>) =>
  `${ok + refused + unknown} (${ok} done, ${refused} refused, ${unknown} of unknown end)`

function judge(
  what: string,
  expected: Expectation,
  row: Readonly<Record<string, SqlValue>> | undefined,
): string[] {
  if (expected.is === 'gone')
    return row === undefined ? [] : [`${what} was never made, or removed, and is there`]
  if (row === undefined) return [`${what} was made, and is not there`]
  return Object.entries(expected.columns).flatMap(([column, allowed]) =>
    allowed.includes(row[column] as string | null)
      ? []
      : [`${what} has ${column} ${row[column]}, clients were told ${allowed}`],
  )
}
