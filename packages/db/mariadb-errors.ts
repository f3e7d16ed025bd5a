import { storageError, UniqueConflict } from './storage-errors.ts'

interface ServerError {
  readonly errno?: number
  readonly fatal?: boolean
}

// A connection that ends takes its transaction with it; the client marks most of these as fatal, not those the server sends.
const LOST_CONNECTION: ReadonlySet<number> = new Set([1053, 1152, 1158, 1159, 1160, 1161, 1927, 4031])
// The server rolled back all of the transaction, or the part that is missing makes all of it worthless.
const LOST_TRANSACTION: ReadonlySet<number> = new Set([
  1020, // a row was changed by somebody else since it was read
  1205, // waited too long for a row; rolls back one statement only
  1213, // deadlock, or refused by the certification of a cluster
  1317, // interrupted
])
/** A member of a cluster that is cut off from the others, or is not yet one of them. */
const NOT_READY = 1047
// A matter of the machine, not of the statement.
const STORAGE_CODES: ReadonlySet<number> = new Set([
  1021, // the disk is full
  1030, // the storage engine failed
  1114, // no space in the table
  1180, // could not commit
  1290, // read-only
  1792, // read-only transaction
  1836, // read-only
])
// Nobody needs to try again before a person changed something: user, password, database.
const REFUSALS: ReadonlySet<number> = new Set([1044, 1045, 1049, 1130, 1698])

const errnoOf = (error: unknown) => (error as ServerError | undefined)?.errno ?? 0

/** True when the connection cannot be used any more. */
export function isConnectionLost(error: unknown): boolean {
  return (error as ServerError | undefined)?.fatal === true || LOST_CONNECTION.has(errnoOf(error))
}

export function isNotReady(error: unknown): boolean {
  return errnoOf(error) === NOT_READY
}

/** True when a server has no room for another connection. */
export function isFull(error: unknown): boolean {
  return errnoOf(error) === 1040
}

/** True when what another one holds was waited for too long. */
export function isWaitedTooLong(error: unknown): boolean {
  return errnoOf(error) === 1205
}

export function isRefusal(error: unknown): boolean {
  return REFUSALS.has(errnoOf(error))
}

/** True when nothing of the transaction will be committed, whatever its unit does, and it may be run again. */
export function endsTransaction(error: unknown): boolean {
  return isConnectionLost(error) || isNotReady(error) || LOST_TRANSACTION.has(errnoOf(error))
}

/** True when a commit that failed this way has surely changed nothing. */
export function isRolledBack(error: unknown): boolean {
  return errnoOf(error) === 1213 && !isConnectionLost(error)
}

/** What a cluster says, when it says something, of a transaction it gave up. */
export function lostInSilence(): Error {
  return Object.assign(new Error('the cluster gave up the transaction'), { errno: 1213 })
}

/** Tells conflicts of unique values apart, because callers react to them, and names failures of the machine (SYS.1016). */
export function translate(error: unknown): unknown {
  if (errnoOf(error) === 1062) return new UniqueConflict((error as Error).message, { cause: error })
  if (STORAGE_CODES.has(errnoOf(error)) || endsTransaction(error))
    return storageError('the database failed', error)
  return error
}
