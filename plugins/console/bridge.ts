import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Disposable } from '#kernel'

/** Why a console ended, as websocket close codes; the page shows the reason that goes with it. */
export const closeCodes = { normal: 1000, goingAway: 1001, notBinary: 1003, failed: 1011 } as const

export interface BridgeOptions {
  /** Closes the console when nothing flows for so long. */
  readonly idleMs: number
  readonly onClose?: (reason: string) => void
}

// The screen is not read from the host while so much of it waits for the browser.
const HIGH_WATER_BYTES = 1024 * 1024
// Time a browser gets to answer the close, before the connection is cut.
const CLOSE_MS = 2_000
const MAX_REASON_BYTES = 123

/**
 * Joins a browser's websocket and the tunnel to a VM's screen. Each side is read only as fast as the other takes it; when one
 * ends the other is closed; a reason is told to the browser.
 */
export function bridgeConsole(socket: WebSocket, tunnel: Duplex, options: BridgeOptions): Disposable {
  let ended = false
  const end = (code: number, reason: string) => {
    if (ended) return
    ended = true
    clearTimeout(idle)
    tunnel.destroy()
    closeSocket(socket, code, reason)
    options.onClose?.(reason)
  }
  const idle = setTimeout(() => {
    end(closeCodes.goingAway, `closed: nothing happened for ${Math.round(options.idleMs / 1000)} s`)
  }, options.idleMs)

  tunnel.on('data', (chunk: Buffer) => {
    idle.refresh()
    socket.send(chunk, { binary: true }, () => {
      if (socket.bufferedAmount < HIGH_WATER_BYTES / 2) tunnel.resume()
    })
    if (socket.bufferedAmount > HIGH_WATER_BYTES) tunnel.pause()
  })
  tunnel.on('end', () => end(closeCodes.normal, 'the screen of the VM was closed on its host'))
  tunnel.on('close', () => end(closeCodes.failed, 'the connection to the host was lost'))
  tunnel.on('error', () => end(closeCodes.failed, 'the connection to the host was lost'))
  tunnel.on('drain', () => socket.resume())

  socket.on('message', (data, isBinary) => {
    idle.refresh()
    if (!isBinary) return end(closeCodes.notBinary, 'a console takes binary messages only')
    if (!ended && !tunnel.write(data as Buffer)) socket.pause()
  })
  socket.on('close', () => end(closeCodes.normal, 'closed by the browser'))
  // The close that follows tells all there is to tell.
  socket.on('error', () => undefined)
  socket.resume()
  return { dispose: () => end(closeCodes.goingAway, 'the management node is stopping') }
}

/** Tells the browser why it ends, and cuts the connection of one that does not answer. */
export function closeSocket(socket: WebSocket, code: number, reason: string): void {
  // A paused socket would never hear the other side's answer.
  socket.resume()
  socket.close(code, fitReason(reason))
  const cut = setTimeout(() => socket.terminate(), CLOSE_MS)
  cut.unref()
  socket.once('close', () => clearTimeout(cut))
}

/** Shortens a text to what a close frame holds, without cutting a character in two. */
export function fitReason(reason: string): string {
  let fitted = reason
  while (Buffer.byteLength(fitted) > MAX_REASON_BYTES) {
    fitted = `${[...fitted.replace(/…$/, '')].slice(0, -1).join('')}…`
  }
  return fitted
}
