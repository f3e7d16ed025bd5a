import { Limiter, type Logger } from '#kernel'
import { LibvirtConnection } from './connection.ts'
import { retainEventLoop } from './event-loop.ts'
import { loadLibvirt } from './ffi.ts'

/**
 * Lends connections, each to one user at a time (see connection.ts), and opens new ones for those that died with
 * libvirtd. How many are lent is bounded by libuv's threads, because a call holds one of them until libvirt answers.
 */
export class LibvirtClient {
  readonly uri: string
  readonly #logger: Logger
  readonly #idle: LibvirtConnection[] = []
  readonly #short: Limiter
  readonly #long: Limiter
  readonly #releaseEventLoop: () => Promise<void>
  #closed = false

  constructor(uri: string, logger: Logger, threads = threadPoolSize()) {
    this.uri = uri
    this.#logger = logger
    const share = shareThreads(threads)
    this.#short = new Limiter(() => share.short)
    this.#long = new Limiter(() => share.long)
    this.#releaseEventLoop = retainEventLoop(logger)
  }

  /** Runs `work` with a connection of its own. */
  use<T>(work: (connection: LibvirtConnection) => Promise<T>): Promise<T> {
    return this.#short.run(() => this.#lend(work))
  }

  /** The same for work that takes minutes (a migration), so that it cannot keep the rest from working. */
  useLong<T>(work: (connection: LibvirtConnection) => Promise<T>): Promise<T> {
    return this.#long.run(() => this.#lend(work))
  }

  async dispose(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#idle.splice(0).map((connection) => connection.close()))
    await this.#releaseEventLoop()
  }

  async #lend<T>(work: (connection: LibvirtConnection) => Promise<T>): Promise<T> {
    const connection = await this.#take()
    try {
      return await work(connection)
    } finally {
      if (this.#closed || !connection.isAlive()) await connection.close()
      else this.#idle.push(connection)
    }
  }

  async #take(): Promise<LibvirtConnection> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (await answers(idle)) return idle
      await idle.close()
    }
    return LibvirtConnection.open(this.uri, this.#logger)
  }
}

/** Asks over the wire: that libvirtd was killed an instant ago does not show on a socket at rest. */
async function answers(connection: LibvirtConnection): Promise<boolean> {
  const version: [number] = [0]
  try {
    await connection.call('ask the version of libvirt', loadLibvirt().api.connectGetLibVersion, version)
    return true
  } catch {
    // Why does not matter: a new connection is made, and its failure is told.
    return false
  }
}

/** Threads libuv has, for file access, names and everything koffi runs. */
function threadPoolSize(): number {
  const size = Number(process.env.UV_THREADPOOL_SIZE ?? 4)
  return Number.isInteger(size) && size > 0 ? size : 4
}

/** Leaves one thread to libvirt's event loop, one to the event connection and at least one to files and names. */
export function shareThreads(threads: number): { readonly short: number; readonly long: number } {
  const free = Math.max(2, Math.floor((threads - 2) * 0.75))
  const long = Math.max(1, Math.floor(free / 2))
  return { short: Math.max(1, free - long), long }
}
