import { posix } from 'node:path'
import { CloudError, sysErrors } from '#kernel'

/** One file: sizes are what a real agent would tell, contents do not exist. */
export interface SimulatedFile {
  readonly format: 'qcow2' | 'raw' | 'iso'
  readonly virtualSizeBytes: number
  readonly actualSizeBytes: number
  readonly backingPath?: string
  /** Known for images only. */
  readonly sha256?: string
}

/**
 * The file system of one simulated machine: thin like qcow2 on a real one, so only actual sizes take space.
 * Every path is confined to the roots that were initialised. Files and roots survive a crash.
 */
export class SimulatedFiles {
  readonly #owner: string
  readonly #files = new Map<string, SimulatedFile>()
  /** Root to the uuid of its storage. */
  readonly #roots = new Map<string, string>()
  #totalBytes: number
  #usedBytes = 0

  /** `owner` names the machine in errors. */
  constructor(owner: string, totalBytes: number) {
    this.#owner = owner
    this.#totalBytes = totalBytes
  }

  /** Sizes, as init, ping and capacity calls tell them. */
  get space(): { totalBytes: number; availableBytes: number } {
    return { totalBytes: this.#totalBytes, availableBytes: Math.max(0, this.#totalBytes - this.#usedBytes) }
  }

  get roots(): readonly string[] {
    return [...this.#roots.keys()]
  }

  /** Makes a directory a root and gives it normalised; a repeat is fine. SYS.1007 inside another root, or when it holds files of another storage. */
  addRoot(root: string, storageUuid: string): string {
    const plain = plainPath(root, 'root')
    if (plain === '/') throw refused('root', 'the whole file system cannot be a storage root')
    for (const other of this.#roots.keys()) {
      if (other.startsWith(`${plain}/`) || plain.startsWith(`${other}/`)) {
        throw refused('root', `${plain} and the root ${other} lie in one another`)
      }
    }
    const owner = this.#roots.get(plain) ?? storageUuid
    if (owner !== storageUuid && this.list(plain).length > 0) {
      throw refused('root', `${plain} holds the files of storage ${owner}`)
    }
    this.#roots.set(plain, storageUuid)
    return plain
  }

  forgetRoot(root: string): void {
    this.#roots.delete(root)
  }

  /** Uuid of the storage a root belongs to. */
  storageOf(root: string): string | undefined {
    return this.#roots.get(root)
  }

  /** The root itself. SYS.1007 when it was not initialised. */
  requireRoot(root: string): string {
    const plain = plainPath(root, 'root')
    if (this.#roots.has(plain)) return plain
    throw refused('root', `${root} was not initialised as a storage root of ${this.#owner}`)
  }

  /** Changes the size of the file system; smaller than what is used means full. */
  resize(totalBytes: number): void {
    this.#totalBytes = totalBytes
  }

  /** The path, proven to be inside a root. Throws SYS.1007 naming `field` otherwise. */
  confine(path: string, field: string): string {
    const plain = plainPath(path, field)
    for (const root of this.#roots.keys())
      if (plain.startsWith(root) && plain[root.length] === '/') return plain
    const known = this.#roots.size === 0 ? 'none was initialised' : `roots: ${this.roots.join(', ')}`
    throw refused(field, `${path} is not inside a storage root of ${this.#owner} (${known})`)
  }

  get(path: string): SimulatedFile | undefined {
    return this.#files.get(path)
  }

  /** Creates or replaces a file. Throws SYS.1016 when the file system has no room for it. */
  put(path: string, file: SimulatedFile): void {
    const growth = file.actualSizeBytes - (this.#files.get(path)?.actualSizeBytes ?? 0)
    const { availableBytes } = this.space
    if (growth > availableBytes) {
      throw new CloudError(
        sysErrors.ioError,
        `cannot write ${path} on ${this.#owner}: no space left on device ` +
          `(${growth} bytes needed, ${availableBytes} available)`,
      )
    }
    this.#files.set(path, file)
    this.#usedBytes += growth
  }

  /** False when there was no such file. */
  delete(path: string): boolean {
    const file = this.#files.get(path)
    if (file === undefined) return false
    this.#usedBytes -= file.actualSizeBytes
    return this.#files.delete(path)
  }

  /** Every file below `directory`, in order of creation. */
  list(directory: string): { path: string; actualSizeBytes: number }[] {
    const prefix = `${directory.replace(/\/$/, '')}/`
    const found: { path: string; actualSizeBytes: number }[] = []
    for (const [path, file] of this.#files) {
      if (path.startsWith(prefix)) found.push({ path, actualSizeBytes: file.actualSizeBytes })
    }
    return found
  }
}

// Normalised, without a slash at the end.
function plainPath(path: string, field: string): string {
  if (!path.startsWith('/') || path.split('/').includes('..')) {
    throw refused(field, `${path} is not absolute or holds \`..\``)
  }
  const plain = posix.normalize(path)
  return plain.length > 1 && plain.endsWith('/') ? plain.slice(0, -1) : plain
}

function refused(field: string, reason: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `field[${field}] ${reason}`, { opaque: { field } })
}
