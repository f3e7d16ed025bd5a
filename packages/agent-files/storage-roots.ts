import { mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { CloudError, newToken, sysErrors } from '#kernel'
import { confinePath, deepestExisting, isInside, plainAbsolutePath } from './confined-path.ts'
import { flush, readIfThere } from './durable.ts'
import { listFiles } from './files.ts'
import { MARKER_NAME, STAGED_PREFIX } from './reserved-names.ts'
import { stageFile, sweepStaged } from './staged-file.ts'

/** Where the system itself lives. A storage there could overwrite or hand out its files. */
const SYSTEM = ['/bin', '/boot', '/dev', '/etc', '/lib', '/lib64', '/proc', '/sbin', '/sys', '/usr']

export interface StorageRoot {
  readonly root: string
  readonly storageUuid: string
}

/** The storage roots of one agent: the only places its commands reach. Remembered in `stateFile` over a restart. */
export class StorageRoots {
  readonly #stateFile: string
  #loaded: Promise<Map<string, StorageRoot>> | undefined

  constructor(stateFile: string) {
    this.#stateFile = stateFile
  }

  /**
   * Makes `root` a storage root of `storageUuid`, creating the directory when absent; a repeat is fine. Removes half-made files
   * a crash left and returns their paths. SYS.1007 for a place in the system, inside another root, or that
   * holds the files of another storage.
   */
  async init(root: string, storageUuid: string): Promise<{ root: string; swept: string[] }> {
    const plain = plainAbsolutePath(root)
    const roots = await this.#load()
    await refuseForbidden(plain, dirname(this.#stateFile))
    for (const other of roots.values()) {
      const nested = isInside(other.root, plain) || isInside(plain, other.root)
      if (other.root !== plain && nested) {
        throw refused(
          plain,
          `it and the root ${other.root} of storage ${other.storageUuid} lie in one another`,
        )
      }
    }
    await mkdir(plain, { recursive: true, mode: 0o755 })
    if (roots.get(plain)?.storageUuid === storageUuid) await refuseVanished(plain, storageUuid)
    await claim(plain, storageUuid)
    roots.set(plain, { root: plain, storageUuid })
    await this.#save(roots)
    return { root: plain, swept: await sweepStaged(plain) }
  }

  /** Forgets a root; its files stay. */
  async forget(root: string): Promise<void> {
    const roots = await this.#load()
    if (roots.delete(root)) await this.#save(roots)
  }

  async list(): Promise<StorageRoot[]> {
    return [...(await this.#load()).values()]
  }

  /** The registered root named exactly so, with its disk mounted. SYS.1007 when there is none, SYS.1016 when its disk is not there. */
  async require(root: string): Promise<StorageRoot> {
    const plain = plainAbsolutePath(root)
    const found = (await this.#load()).get(plain)
    if (found === undefined) throw refused(plain, 'it was not initialised as a storage root on this machine')
    await requireMarker(found)
    return found
  }

  /** The root `path` lies in and the path, normalised and proven to be inside it. SYS.1007 when it is in none, or is our own. */
  async confine(path: string): Promise<{ root: string; path: string }> {
    const plain = plainAbsolutePath(path)
    const name = basename(plain)
    if (name === MARKER_NAME || name.startsWith(STAGED_PREFIX))
      throw refused(plain, 'names like this are kept for the agent')
    for (const known of (await this.#load()).values()) {
      if (!isInside(known.root, plain)) continue
      await requireMarker(known)
      return { root: known.root, path: await confinePath(known.root, plain) }
    }
    throw refused(plain, 'it is in none of the storage roots initialised on this machine')
  }

  #load(): Promise<Map<string, StorageRoot>> {
    this.#loaded ??= this.#read().catch((error: unknown) => {
      this.#loaded = undefined
      throw error
    })
    return this.#loaded
  }

  async #read(): Promise<Map<string, StorageRoot>> {
    const text = await readIfThere(this.#stateFile)
    if (text === undefined) return new Map()
    try {
      const { roots } = JSON.parse(text) as { roots: StorageRoot[] }
      return new Map(roots.map((r) => [r.root, { root: r.root, storageUuid: r.storageUuid }]))
    } catch (error) {
      throw new CloudError(
        sysErrors.ioError,
        `the list of storage roots ${this.#stateFile} is damaged; delete it and reconnect, which writes it anew`,
        { cause: error },
      )
    }
  }

  async #save(roots: Map<string, StorageRoot>): Promise<void> {
    const directory = dirname(this.#stateFile)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    // Own temporary name: two roots may be initialised at the same time.
    const temporary = join(directory, `.roots-${newToken(8)}`)
    const body = JSON.stringify({ roots: [...roots.values()] }, null, 2)
    await writeFile(temporary, `${body}\n`, { mode: 0o600, flush: true })
    await rename(temporary, this.#stateFile)
    await flush(directory)
  }
}

async function refuseForbidden(root: string, stateDirectory: string): Promise<void> {
  const { at, real: realOfExisting } = await deepestExisting(root)
  const real = join(realOfExisting, relative(at, root))
  const forbidden = SYSTEM.find((place) => isInside(place, real))
  if (real === '/' || forbidden !== undefined) {
    throw refused(root, `${real} belongs to the operating system; choose a directory for storage only`)
  }
  // The agent's keys lie there; no command may reach them.
  if (isInside(stateDirectory, real) || isInside(real, stateDirectory)) {
    throw refused(root, `it and the agent's own directory ${stateDirectory} lie in one another`)
  }
  if (!(await stat(realOfExisting)).isDirectory()) throw refused(root, `${at} is not a directory`)
}

/** A root we know has a marker. Without it we look at the bare mount point, and would fill the wrong disk. */
async function refuseVanished(root: string, storageUuid: string): Promise<void> {
  if ((await readMarker(root)) !== undefined) return
  const path = join(root, MARKER_NAME)
  throw new CloudError(
    sysErrors.ioError,
    `the storage root ${root} has lost its marker: is its disk mounted? If it was emptied on purpose, write ` +
      `${JSON.stringify({ storageUuid })} to ${path} and connect again`,
  )
}

async function claim(root: string, storageUuid: string): Promise<void> {
  const owner = await readMarker(root)
  if (owner === storageUuid) return
  // The marker of a storage that was removed may stay behind in an empty directory; files must not change hands silently.
  if (owner !== undefined && (await listFiles(root)).length > 0) {
    throw refused(
      root,
      `it holds the files of storage ${owner}; use another directory, or empty it if that storage is gone for good`,
    )
  }
  const finalPath = join(root, MARKER_NAME)
  await stageFile({ root, finalPath, mode: 0o644 }, (temporary) =>
    writeFile(temporary, `${JSON.stringify({ storageUuid })}\n`),
  )
}

async function requireMarker(expected: StorageRoot): Promise<void> {
  const owner = await readMarker(expected.root)
  if (owner === expected.storageUuid) return
  const found = owner === undefined ? 'is not there' : `names storage ${owner}`
  throw new CloudError(
    sysErrors.ioError,
    `the storage root ${expected.root} is not the one of storage ${expected.storageUuid}: its marker ${MARKER_NAME} ${found}; ` +
      'is its disk mounted?',
  )
}

async function readMarker(root: string): Promise<string | undefined> {
  const path = join(root, MARKER_NAME)
  try {
    const text = await readIfThere(path)
    return text === undefined ? undefined : String((JSON.parse(text) as { storageUuid: string }).storageUuid)
  } catch (error) {
    throw new CloudError(sysErrors.ioError, `cannot read the marker of the storage root, ${path}`, {
      cause: error,
    })
  }
}

function refused(root: string, why: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `${root} is refused: ${why}`)
}
