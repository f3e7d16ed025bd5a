import { CloudError, sysErrors } from '#kernel'

/** A row with the same unique value exists already. */
export class UniqueConflict extends Error {
  override name = 'UniqueConflict'
}

export function databaseClosed(): CloudError {
  return new CloudError(sysErrors.ioError, 'the database is closed: the management node stops')
}

/** SYS.1016: what was being done, and the reason the database gave. */
export function storageError(what: string, cause: unknown): CloudError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new CloudError(sysErrors.ioError, `${what}: ${reason}. Nothing was changed`, { cause })
}

/** SYS.1016: the disk failed after the commit. */
export function notFlushed(cause: unknown): CloudError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const details = `the disk failed to keep what the database committed: ${reason}. Whether the change was made is not known; look at the disk, then restart the management node`
  return new CloudError(sysErrors.ioError, details, { cause })
}
