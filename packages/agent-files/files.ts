import { lstat, readdir, rmdir, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CloudError, sysErrors } from '#kernel'
import { isInside, isMissing } from './confined-path.ts'
import { flush } from './durable.ts'
import { MARKER_NAME, STAGED_PREFIX } from './reserved-names.ts'

export interface DiskFile {
  readonly path: string
  /** Length of the file. */
  readonly sizeBytes: number
  /** Bytes it takes on disk. */
  readonly diskBytes: number
}

/** Every regular file below `root`, without our own marker and half-made files. Links are not followed. */
export async function listFiles(root: string): Promise<DiskFile[]> {
  const files: DiskFile[] = []
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith(STAGED_PREFIX) || entry.name === MARKER_NAME) continue
    const file = await statFile(join(entry.parentPath, entry.name))
    // Gone between the listing and the look: it was deleted meanwhile, which is no fault.
    if (file !== undefined) files.push(file)
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** Sizes of one file; undefined when it is not there. SYS.1007 when it is not a regular file. */
export async function statFile(path: string): Promise<DiskFile | undefined> {
  try {
    const stat = await lstat(path)
    if (!stat.isFile()) throw new CloudError(sysErrors.invalidArgument, `${path} is not a regular file`)
    return { path, sizeBytes: stat.size, diskBytes: stat.blocks * 512 }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/**
 * Deletes a file and the directories that are empty then, up to `root`. False when there was nothing (empty directories
 * an interrupted deletion left are removed all the same).
 */
export async function deleteFile(root: string, path: string): Promise<boolean> {
  const there = await statFile(path)
  if (there !== undefined) {
    await unlink(path)
    await flush(dirname(path))
  }
  await removeEmptyParents(root, path)
  return there !== undefined
}

/** Removes the directories above `path` that are empty, up to but without `root`. */
export async function removeEmptyParents(root: string, path: string): Promise<void> {
  for (let at = dirname(path); at !== root && isInside(root, at); at = dirname(at)) {
    try {
      await rmdir(at)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      // Busy: another file system is mounted there.
      if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'EBUSY') return
      if (!isMissing(error)) throw new CloudError(sysErrors.ioError, `cannot remove ${at}`, { cause: error })
    }
  }
}
