import { databaseClosed, storageError, UniqueConflict } from './storage-errors.ts'

// Primary result codes of SQLite that are a matter of the machine, not of the statement.
const STORAGE_CODES: ReadonlySet<number> = new Set([
  5, // busy: another process holds the write lock
  8, // read-only
  10, // input or output failed
  11, // the file is damaged
  13, // the disk is full
  14, // cannot open
  26, // not a database
])

/** Tells conflicts of unique values apart, because callers react to them, and names failures of the machine (SYS.1016). */
export function translate(error: unknown): unknown {
  if ((error as { code?: string } | undefined)?.code === 'ERR_INVALID_STATE') return databaseClosed()
  const code = (error as { errcode?: number } | undefined)?.errcode
  // 1555 primary key, 2067 unique index
  if (code === 1555 || code === 2067) return new UniqueConflict((error as Error).message, { cause: error })
  if (code !== undefined && STORAGE_CODES.has(code & 0xff)) return storageError('the database failed', error)
  return error
}
