import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Disposable, describeError, isUuid, newUuid } from '#kernel'

/** The directory everything a node knows lies in, taken for this process alone. */
export interface DataDir extends Disposable {
  /** A node keeps its uuid over restarts: what it left unfinished is its own to finish. */
  readonly nodeUuid: string
}

/**
 * Makes the directory when it is not there and locks it until disposed of or the process ends. Throws what is wrong: two
 * processes on the same data would each take back what the other is doing.
 */
export async function openDataDir(dir: string): Promise<DataDir> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new Error(`the data directory ${dir} cannot be made: ${describeError(error)}`)
  }
  const lock = lockDirectory(dir)
  try {
    return { nodeUuid: await nodeUuidOf(dir), dispose: () => lock.close() }
  } catch (error) {
    lock.close()
    throw error
  }
}

/** The kernel frees the lock when the process ends, however it ends. SQLite is how Node gets at such locks. */
function lockDirectory(dir: string): DatabaseSync {
  const file = join(dir, 'lock')
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(file, { timeout: 0 })
    lock.exec('PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock?.close()
    const busy = (error as { errcode?: number }).errcode === 5
    throw new Error(
      busy
        ? `the data directory ${dir} is in use by another management process; stop that one first`
        : `the data directory ${dir} cannot be written: ${file}: ${describeError(error)}`,
    )
  }
}

async function nodeUuidOf(dir: string): Promise<string> {
  const file = join(dir, 'node.uuid')
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new Error(`the identity of this node cannot be read: ${file}: ${error.message}`)
  })
  if (text !== undefined && isUuid(text.trim())) return text.trim()
  if (text !== undefined)
    throw new Error(
      `${file} does not hold the uuid of this node; restore it from a backup of the data directory`,
    )
  const fresh = newUuid()
  // Under its name it is whole or not there.
  await writeFile(`${file}.new`, fresh, { flush: true })
  await rename(`${file}.new`, file)
  return fresh
}
