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
 * Every path is confined to the roots that were initialised. Files survive a crash, the set of roots does not:
 * the management initialises its roots again when it reconnects.
 */
export class SimulatedFiles {
  readonly #owner: string
  readonly #files = new Map<string, SimulatedFile>()
  readonly #roots = new Set<string>()
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
    return [...this.#roots]
  }

  addRoot(root: string): void {
    const clean = posix.normalize(root).replace(/\/$/, '')
    if (root.split('/').includes('..') || clean === '') {
      throw new CloudError(sysErrors.invalidArgument, `field[root] ${root} cannot be a storage root`, {
        opaque: { field: 'root' },
      })
    }
    this.#roots.add(clean)
  }

  forgetRoots(): void {
    this.#roots.clear()
  }

  /** Changes the size of the file system; smaller than what is used means full. */
  resize(totalBytes: number): void {
    this.#totalBytes = totalBytes
  }

  /** The normalised path. Throws SYS.1007 naming `field` unless it lies below a root (or, with `orRoot`, is one). */
  confine(path: string, field: string, orRoot = false): string {
    const clean = posix.normalize(path)
    for (const root of this.#roots) {
      if (clean.startsWith(root) && (clean[root.length] === '/' || (orRoot && clean === root))) {
        if (!clean.endsWith('/')) return clean
      }
    }
    const known = this.#roots.size === 0 ? 'none was initialised' : `roots: ${this.roots.join(', ')}`
    throw new CloudError(
      sysErrors.invalidArgument,
      `field[${field}] ${path} is not inside a storage root of ${this.#owner} (${known})`,
      { opaque: { field } },
    )
  }

  get(path: string): SimulatedFile | undefined {
    return this.#files.get(path)
  }

  /** Creates or replaces a file. Throws SYS.1006 when the file system has no room for it. */
  put(path: string, file: SimulatedFile): void {
    const growth = file.actualSizeBytes - (this.#files.get(path)?.actualSizeBytes ?? 0)
    const { availableBytes } = this.space
    if (growth > availableBytes) {
      throw new CloudError(
        sysErrors.operationFailed,
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
