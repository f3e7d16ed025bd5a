import type { Logger } from '#kernel'
import { inThread, loadLibvirt } from './ffi.ts'

/**
 * libvirt's event loop, in one thread for the whole process. Connections need it for keep-alive and events, so it has to
 * run before the first one is opened. It is started by the first user and ends with the last.
 */
// The thread comes back from poll(2) at least this often. A process that ends waits for its threads, also when it ends by
// process.exit or an exception and nobody released the loop; the timer runs in C because no JavaScript runs by then.
const TURN_MS = 500

let users = 0
let registered: { readonly wakeTimer: number } | undefined
let running: Promise<void> | undefined

/** Keeps the event loop running until the function it gives back is called; that one waits until the thread has ended. */
export function retainEventLoop(logger: Logger): () => Promise<void> {
  registered ??= register()
  users += 1
  running ??= runLoop(logger)
  let released = false
  return async () => {
    if (released) return
    released = true
    users -= 1
    if (users > 0) return
    wake()
    await running
  }
}

function register(): { wakeTimer: number } {
  const { api, rearmTimeout } = loadLibvirt()
  api.eventRegisterDefaultImpl()
  return { wakeTimer: api.eventAddTimeout(TURN_MS, rearmTimeout, BigInt(TURN_MS), null) }
}

function wake(): void {
  if (registered !== undefined) loadLibvirt().api.eventUpdateTimeout(registered.wakeTimer, 0)
}

async function runLoop(logger: Logger): Promise<void> {
  const { api } = loadLibvirt()
  try {
    while (users > 0) {
      if ((await inThread(api.eventRunDefaultImpl)) < 0) throw new Error('virEventRunDefaultImpl failed')
    }
  } catch (error) {
    // Without the loop no event arrives and no dead connection is noticed; going on would be a lie.
    logger.error({ err: error }, 'the event loop of libvirt ended')
    throw error
  } finally {
    running = undefined
  }
}
