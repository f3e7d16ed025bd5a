import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CloudError, sysErrors } from '#kernel'
import { isMissing } from './confined-path.ts'

export interface FileSystemSpace {
  readonly totalBytes: number
  /** What an unprivileged process may still write: the reserve for root is not ours. */
  readonly availableBytes: number
}

/** Size and free space of the file system that holds `path`. */
export async function fileSystemSpace(path: string): Promise<FileSystemSpace> {
  try {
    const fs = await statfs(path)
    return { totalBytes: fs.blocks * fs.bsize, availableBytes: fs.bavail * fs.bsize }
  } catch (error) {
    throw new CloudError(sysErrors.ioError, `cannot read the space of ${path}`, { cause: error })
  }
}

/** Free space where `path` is or would be: asks the deepest directory that exists. */
export async function availableBytes(path: string): Promise<number> {
  try {
    const fs = await statfs(path)
    return fs.bavail * fs.bsize
  } catch (error) {
    if (isMissing(error) && path !== '/') return availableBytes(dirname(path))
    throw new CloudError(sysErrors.ioError, `cannot read the space of ${path}`, { cause: error })
  }
}

/**
 * Turns a failed write to `path` into an error that says whether the disk is full and how much is free.
 * A CloudError that does not stem from a full disk is returned as it is.
 */
export async function describeDiskFull(error: unknown, path: string, doing: string): Promise<CloudError> {
  if (!isDiskFull(error)) {
    if (error instanceof CloudError) return error
    return new CloudError(sysErrors.ioError, `${doing} ${path} failed`, { cause: error })
  }
  const free = await availableBytes(path)
  const quota = (error as NodeJS.ErrnoException).code === 'EDQUOT'
  const what = quota ? 'the disk quota is used up' : 'the disk is full'
  return new CloudError(
    sysErrors.ioError,
    `${doing} ${path} failed: ${what}, ${free} bytes are free on its file system; free some space and try again`,
    { opaque: { path, availableBytes: free } },
  )
}

function isDiskFull(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) {
    const code = (e as NodeJS.ErrnoException).code
    if (code === 'ENOSPC' || code === 'EDQUOT') return true
    // qemu-img only says it in words; it runs in the C locale.
    if (e instanceof CloudError && e.details.includes('No space left on device')) return true
  }
  return false
}
