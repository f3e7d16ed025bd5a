import type { CloudError } from '#kernel'
import type { DatabaseStats } from './stats.ts'

/** A value as it lies in a column. */
export type SqlValue = string | number | bigint | null | Uint8Array

/** Runs parameterised statements. Only `packages/db`, `query` and `workflow` speak SQL; everyone else uses records. */
export interface Session {
  all(sql: string, params: readonly SqlValue[]): Promise<Record<string, SqlValue>[]>
  /** The same rows as arrays in the order of the selected columns: cheaper when the caller knows them. */
  rows(sql: string, params: readonly SqlValue[]): Promise<SqlValue[][]>
  /** Returns the number of rows changed. */
  run(sql: string, params: readonly SqlValue[]): Promise<number>
}

/** A session inside a write; what it did becomes visible and durable together, or not at all. */
export interface Tx extends Session {
  readonly writable: true
  /** Changes rows; nobody is told how many, which lets the statement wait for others. Its failure may fail the unit later. */
  send(sql: string, params: readonly SqlValue[]): Promise<void>
}

/**
 * A statement that goes first in every commit group: a group in which it changes no row is not committed, and fails with
 * `refusal()`. It may run twice in a group.
 */
export interface WriteGuard {
  readonly sql: string
  readonly params: readonly SqlValue[]
  readonly refusal: () => CloudError
}

/**
 * The database of a management node.
 *
 * `write(unit)` runs `unit` atomically and returns when it is durable (it survives a power cut). Units of concurrent callers
 * may share one commit. A unit may be run again when the database asks for it, so it does nothing but database work
 * through its `tx`, and it never awaits a host, a timer or another write.
 */
export interface Database extends Session {
  readonly dialect: 'sqlite' | 'mariadb'
  readonly stats: DatabaseStats
  write<T>(unit: (tx: Tx) => Promise<T>): Promise<T>
  /**
   * From the next commit group on, `guard` goes ahead of the units of each; undefined: nothing does. One that updates a row all
   * nodes share puts the groups of all of them in one line, also on different members of a Galera cluster; its condition fences.
   */
  guardWrites(guard: WriteGuard | undefined): void
  /** Runs statements outside any transaction: migrations only. */
  execute(sql: string): Promise<void>
  close(): Promise<void>
}
