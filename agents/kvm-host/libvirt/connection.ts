import type { KoffiFunc } from 'koffi'
import { CloudError, type Logger, sysErrors } from '#kernel'
import { type LibvirtFailure, libvirtCodeOf, libvirtCodes, libvirtError } from './errors.ts'
import { inThread, loadLibvirt, type Pointer, readError, releaseCallback, toCallback } from './ffi.ts'

type Fn<A extends unknown[], R> = KoffiFunc<(...args: A) => R>

const KEEP_ALIVE_SECONDS = 5
const KEEP_ALIVE_MISSES = 3

/**
 * One connection to libvirtd with at most one call at a time.
 *
 * libvirt keeps "the last error" for each thread, and koffi runs each call in whatever thread is free, so asking for the
 * last error afterwards would give the error of somebody else. Instead each connection has an error function of its own:
 * libvirt calls it in the failing thread before the call returns, and koffi makes that thread wait until the function has
 * run. As a connection never has two calls under way, an error can only belong to its running call.
 */
export class LibvirtConnection {
  readonly pointer: Pointer
  readonly #logger: Logger
  readonly #errorCallback: Pointer
  #failure: LibvirtFailure | undefined
  #busy = false

  private constructor(pointer: Pointer, logger: Logger) {
    this.pointer = pointer
    this.#logger = logger
    const { api, callbacks } = loadLibvirt()
    this.#errorCallback = toCallback((_userData: Pointer, error: Pointer) => {
      this.#failure = toFailure(error) ?? this.#failure
    }, callbacks.error)
    api.connectSetErrorFunc(pointer, null, this.#errorCallback)
  }

  /** Opens a connection; needs the event loop. Throws when libvirtd does not answer. */
  static async open(uri: string, logger: Logger): Promise<LibvirtConnection> {
    const connection = new LibvirtConnection(await openPointer(uri), logger)
    const { api } = loadLibvirt()
    const what = 'watch the connection to libvirt'
    try {
      await connection.call(what, api.connectSetKeepAlive, KEEP_ALIVE_SECONDS, KEEP_ALIVE_MISSES)
    } catch (error) {
      // A driver inside this process (test:///default) has nothing that could break.
      if (libvirtCodeOf(error) !== libvirtCodes.noSupport) {
        await connection.close()
        throw error
      }
    }
    return connection
  }

  /** False when libvirtd has gone away. Asks nobody, only looks at the socket. */
  isAlive(): boolean {
    return loadLibvirt().api.connectIsAlive(this.pointer) === 1
  }

  /** Calls a function whose first argument is the connection. `what` completes "cannot …" in the error. */
  call<A extends unknown[], R>(
    what: string,
    fn: Fn<[Pointer, ...A], R>,
    ...args: A
  ): Promise<NonNullable<R>> {
    return this.callOn(what, fn, this.pointer, ...args)
  }

  /** Calls a function on an object of this connection. Throws libvirt's error when it gives -1 or null. */
  async callOn<A extends unknown[], R>(
    what: string,
    fn: Fn<[Pointer, ...A], R>,
    object: Pointer,
    ...args: A
  ): Promise<NonNullable<R>> {
    if (this.#busy) throw new Error(`two libvirt calls at a time on one connection: ${what}`)
    this.#busy = true
    this.#failure = undefined
    try {
      const result = await inThread(fn, object, ...args)
      if (result === null || result === undefined || (typeof result === 'number' && result < 0))
        throw libvirtError(what, this.#failure)
      return result
    } finally {
      this.#busy = false
    }
  }

  /** Closes it. A connection that is broken already is closed all the same. */
  async close(): Promise<void> {
    try {
      await inThread(loadLibvirt().api.connectClose, this.pointer)
      releaseCallback(this.#errorCallback)
    } catch (error) {
      this.#logger.warn({ err: error }, 'closing a libvirt connection failed')
    }
  }
}

function toFailure(error: Pointer): LibvirtFailure | undefined {
  const { code, domain, message } = readError(error)
  return code === 0 ? undefined : { code, domain, message: message ?? `error ${code} without a message` }
}

// Opening is the one call without a connection; its errors go to the process-wide function, so one at a time.
let opening: Promise<unknown> = Promise.resolve()
let openFailure: LibvirtFailure | undefined
let globalCallback: Pointer | undefined

function openPointer(uri: string): Promise<Pointer> {
  const { api, callbacks } = loadLibvirt()
  if (globalCallback === undefined) {
    globalCallback = toCallback((_userData: Pointer, error: Pointer) => {
      openFailure = toFailure(error) ?? openFailure
    }, callbacks.error)
    api.setErrorFunc(null, globalCallback)
  }
  const mine = opening.then(async () => {
    openFailure = undefined
    const pointer = await inThread(api.connectOpen, uri)
    if (pointer !== null) return pointer
    throw new CloudError(
      sysErrors.ioError,
      `libvirt does not answer at ${uri}; is libvirtd running on this host?`,
      {
        cause: libvirtError('connect to libvirt', openFailure),
      },
    )
  })
  // The next one waits for the end of this one, whatever it is; the failure itself goes to this one's caller.
  opening = mine.catch(() => undefined)
  return mine
}
