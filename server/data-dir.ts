import { existsSync } from 'node:fs'
import { access, constants, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createSecretBox, type Disposable, describeError, isUuid, newUuid } from '#kernel'

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

/** Why the directory cannot be used, one line each; nothing is made in it or above it. */
export async function checkDataDir(dir: string): Promise<string[]> {
  const found = await stat(dir).catch((error: NodeJS.ErrnoException) => error)
  if (found instanceof Error) return checkPlace(dir, found)
  if (!found.isDirectory()) return [`the data directory ${dir} cannot be made: it is a file`]
  const problems: string[] = []
  // Who may write here may give this process another database, or keys of his own.
  if ((found.mode & 0o022) !== 0) {
    const mode = (found.mode & 0o777).toString(8)
    problems.push(`the data directory ${dir} may be written by others (mode ${mode}); chmod 700 ${dir}`)
  }
  const check = async (what: () => Promise<unknown>) => {
    await what().catch((error: unknown) => void problems.push(describeError(error)))
  }
  await check(() => requireWritable(dir))
  if (problems.length === 0 && existsSync(join(dir, 'lock')))
    await check(async () => lockDirectory(dir).close())
  await check(() => storedUuid(dir))
  if (existsSync(join(dir, 'secret.key'))) await check(() => createSecretBox(dir))
  return problems
}

/** The nearest directory above that is there has to take new ones. */
async function checkPlace(dir: string, reason: NodeJS.ErrnoException): Promise<string[]> {
  const cannot = (why: string) => [`the data directory ${dir} cannot be made: ${why}`]
  if (reason.code !== 'ENOENT') return cannot(reason.message)
  let above = dirname(resolve(dir))
  while (!existsSync(above)) above = dirname(above)
  if (!(await stat(above)).isDirectory()) return cannot(`${above} is a file`)
  return access(above, constants.W_OK | constants.X_OK).then(
    () => [],
    (error: Error) => cannot(error.message),
  )
}

async function requireWritable(dir: string): Promise<void> {
  try {
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new Error(`the data directory ${dir} cannot be written: ${describeError(error)}`)
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

/** Undefined before the first start. */
async function storedUuid(dir: string): Promise<string | undefined> {
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
  return undefined
}

async function nodeUuidOf(dir: string): Promise<string> {
  const stored = await storedUuid(dir)
  if (stored !== undefined) return stored
  const file = join(dir, 'node.uuid')
  const fresh = newUuid()
  // Under its name it is whole or not there.
  await writeFile(`${file}.new`, fresh, { flush: true })
  await rename(`${file}.new`, file)
  return fresh
}
