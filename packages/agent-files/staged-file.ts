import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CloudError, newToken, sysErrors } from '#kernel'
import { flush } from './durable.ts'
import { removeEmptyParents } from './files.ts'
import { STAGED_PREFIX } from './reserved-names.ts'
import { describeDiskFull } from './space.ts'

const inUse = new Set<string>()

/**
 * Makes a file so that `finalPath` appears only when it is whole: `make` writes the file at the path it is given (same
 * directory, temporary name; it does not exist yet), which is then flushed, given `mode`, and renamed. On any failure nothing is
 * left, not even directories made for it (up to `root`). A full disk is told with the free space.
 */
export async function stageFile<T>(
  target: { readonly root: string; readonly finalPath: string; readonly mode: number },
  make: (temporaryPath: string) => Promise<T>,
): Promise<T> {
  const directory = dirname(target.finalPath)
  const temporary = join(directory, `${STAGED_PREFIX}${newToken(8)}`)
  inUse.add(temporary)
  try {
    await makeDirectories(directory)
    const result = await make(temporary)
    await flush(temporary)
    await chmod(temporary, target.mode)
    await rename(temporary, target.finalPath)
    await flush(directory)
    return result
  } catch (error) {
    const told = await describeDiskFull(error, target.finalPath, 'writing')
    await discard(target.root, temporary, told)
    throw told
  } finally {
    inUse.delete(temporary)
  }
}

/** Removes what a crash left half made below `root`; leaves alone what this process is making now. Returns what it removed. */
export async function sweepStaged(root: string): Promise<string[]> {
  const removed: string[] = []
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || !entry.name.startsWith(STAGED_PREFIX) || inUse.has(path)) continue
    await rm(path, { force: true })
    await removeEmptyParents(root, path)
    removed.push(path)
  }
  return removed
}

async function makeDirectories(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: 0o755 })
  if (first === undefined) return
  // Each new name is an entry in its parent, and only a flushed parent survives a power cut.
  for (let at = directory; at.length >= first.length; at = dirname(at)) await flush(dirname(at))
}

async function discard(root: string, temporary: string, cause: CloudError): Promise<void> {
  try {
    await rm(temporary, { force: true })
    await removeEmptyParents(root, temporary)
  } catch (error) {
    const why = (error as Error).message
    throw new CloudError(sysErrors.ioError, `what was left of a failure could not be removed (${why})`, {
      cause,
    })
  }
}
