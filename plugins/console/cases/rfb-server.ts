import type { Duplex } from 'node:stream'

/** A screen for tests: enough of the RFB protocol for a VNC client to connect, get one picture and send keys. */
export interface RfbServer {
  /** X11 key codes of the keys pressed so far. */
  readonly pressedKeys: readonly number[]
}

const SIZE = { width: 320, height: 200 }
const PIXEL_BYTES = 4
const VERSION_LENGTH = 12
/** Bytes of each fixed-length client message by its type. */
const LENGTHS: Readonly<Record<number, number>> = { 0: 20, 3: 10, 4: 8, 5: 6 }

/** Speaks RFB 3.8 without a password on `stream`. */
export function serveRfb(stream: Duplex): RfbServer {
  const pressedKeys: number[] = []
  // A test ends by cutting the connection; what it did not get shows in what it asserts.
  stream.on('error', () => stream.destroy())
  const serving = converse(stream, pressedKeys)
  serving.catch(() => stream.destroy())
  return { pressedKeys }
}

async function converse(stream: Duplex, pressedKeys: number[]): Promise<void> {
  const read = reader(stream)
  stream.write('RFB 003.008\n')
  await read(VERSION_LENGTH)
  stream.write(Buffer.from([1, 1]))
  await read(1)
  stream.write(Buffer.from([0, 0, 0, 0]))
  await read(1)
  stream.write(serverInit())
  for (;;) {
    const [type = 0] = await read(1)
    if (type === 2) {
      const count = (await read(3)).readUInt16BE(1)
      await read(4 * count)
    } else if (type === 6) {
      const length = (await read(7)).readInt32BE(3)
      await read(Math.abs(length))
    } else {
      const message = await read(messageLength(type) - 1)
      if (type === 3 && message[0] === 0) stream.write(picture())
      if (type === 4 && message[0] === 1) pressedKeys.push(message.readUInt32BE(3))
    }
  }
}

function messageLength(type: number): number {
  const length = LENGTHS[type]
  if (length === undefined) throw new Error(`the client sent a message of the unknown type ${type}`)
  return length
}

function serverInit(): Buffer {
  const init = Buffer.alloc(24)
  init.writeUInt16BE(SIZE.width, 0)
  init.writeUInt16BE(SIZE.height, 2)
  // 32 bits for each pixel, depth 24, little endian, true colour; red, green and blue at bits 16, 8 and 0.
  init.set([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0], 4)
  const name = Buffer.from('test')
  init.writeUInt32BE(name.length, 20)
  return Buffer.concat([init, name])
}

/**
 * The whole screen, raw, in colours that run from edge to edge. The bytes are red, green, blue: the pixel format noVNC asks
 * for, whatever was offered.
 */
function picture(): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt16BE(1, 2)
  head.writeUInt16BE(SIZE.width, 8)
  head.writeUInt16BE(SIZE.height, 10)
  const pixels = Buffer.alloc(SIZE.width * SIZE.height * PIXEL_BYTES)
  for (let y = 0; y < SIZE.height; y += 1) {
    for (let x = 0; x < SIZE.width; x += 1) {
      pixels.set([y + 40, (x * 255) / SIZE.width, 120, 255], (y * SIZE.width + x) * PIXEL_BYTES)
    }
  }
  return Buffer.concat([head, pixels])
}

function reader(stream: Duplex): (length: number) => Promise<Buffer> {
  const chunks = stream.iterator() as AsyncIterator<Buffer>
  let buffered: Buffer = Buffer.alloc(0)
  return async (length) => {
    while (buffered.length < length) {
      const { value, done } = await chunks.next()
      if (done === true) throw new Error('the client went away')
      buffered = Buffer.concat([buffered, value])
    }
    const taken = buffered.subarray(0, length)
    buffered = buffered.subarray(length)
    return taken
  }
}
