import { ChangedRows } from './changed-rows.ts'
import { currentUnit } from './current-unit.ts'
import type { Session, SqlValue, Tx } from './database.ts'
import type { Statement } from './sql-text.ts'
import { type Rows, rowsOf, shapeOf } from './statement-shape.ts'

/** A change that waits. */
export interface Change extends Statement {
  readonly table: string
  readonly rows: Rows
  /** How many rows it has to change for its unit to be right; undefined: any number. */
  readonly expected: number | undefined
}

/**
 * One unit run ahead: what it asks is answered from the state before its group, what it changes waits. It counts when
 * nothing that was changed meanwhile belongs to what it had asked; otherwise it never happened, and the unit runs again.
 */
export class Trial {
  readonly reads: (Rows | undefined)[] = []
  readonly changes: Change[] = []
  /** `unfit`: the unit does what cannot be done ahead. */
  state: 'running' | 'unfit' | { readonly value: unknown } | { readonly error: unknown } = 'running'
  /** Questions on their way. */
  waiting = 0
  readonly #own = new ChangedRows()
  readonly #scope = { open: true }

  /** Returns at once; the unit goes on while `session` answers. */
  constructor(work: (tx: Tx) => Promise<unknown>, session: Pick<Session, 'all' | 'rows'>) {
    const run = async () => currentUnit.run(this.#scope, work, this.#txOn(session))
    run().then(
      (value) => this.#end({ value }),
      (error: unknown) => this.#end({ error }),
    )
  }

  /** True when it has ended, and not with an error that may come from what was only supposed about its changes. */
  get isFit(): boolean {
    return typeof this.state === 'object' && !('error' in this.state && this.changes.length > 0)
  }

  /** True when it is fit, and its end does not depend on what was changed since it began. */
  isValid(changed: ChangedRows): boolean {
    return this.isFit && !this.reads.some((read) => changed.touch(read))
  }

  /** What it still does has no effect. */
  abandon(): void {
    this.#scope.open = false
    if (this.state === 'running') this.state = 'unfit'
  }

  #end(state: { value: unknown } | { error: unknown }): void {
    if (this.state === 'running') this.state = state
    this.#scope.open = false
  }

  #txOn(session: Pick<Session, 'all' | 'rows'>): Tx {
    return {
      writable: true,
      all: (sql, params) => this.#read(sql, params, session.all),
      rows: (sql, params) => this.#read(sql, params, session.rows),
      run: async (sql, params) => {
        await this.#change(sql, params, 1)
        return 1
      },
      send: (sql, params) => this.#change(sql, params, shapeOf(sql)?.kind === 'insert' ? 1 : undefined),
    }
  }

  async #read<T>(sql: string, params: readonly SqlValue[], ask: Ask<T>): Promise<T> {
    this.#requireOpen()
    const rows = rowsOf(shapeOf(sql), params)
    if (this.#own.touch(rows)) return this.#stop()
    this.reads.push(rows)
    this.waiting += 1
    try {
      return await ask(sql, params)
    } catch {
      // What went wrong is found out, and told, when the unit runs by itself.
      return await this.#stop()
    } finally {
      this.waiting -= 1
    }
  }

  async #change(sql: string, params: readonly SqlValue[], expected: number | undefined): Promise<void> {
    this.#requireOpen()
    const shape = shapeOf(sql)
    const rows = rowsOf(shape, params)
    if (shape === undefined || shape.kind === 'select' || rows === undefined) return this.#stop()
    this.changes.push({ sql, params, table: shape.table, rows, expected })
    this.#own.add(rows)
  }

  #requireOpen(): void {
    if (!this.#scope.open) throw new Error('this tx is over: its write has ended')
  }

  /** The unit does not go on: it must not act on an answer that is not true. */
  #stop(): Promise<never> {
    this.abandon()
    return new Promise(() => undefined)
  }
}

type Ask<T> = (sql: string, params: readonly SqlValue[]) => Promise<T>
