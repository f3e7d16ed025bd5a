import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { CloudError, sysErrors } from '#kernel'

export interface ReceivedFile {
  readonly sizeBytes: number
  /** 64 hex digits over the whole file. */
  readonly sha256: string
}

interface ReceiveOptions {
  /** Refuse a longer stream: SYS.1007. */
  readonly maxBytes: number
  readonly signal: AbortSignal
  /** Called once with the first 64 KiB (all, when there are fewer) while the rest still comes; may throw to refuse it. */
  readonly onStart?: (start: Buffer) => void
  /** Called after each piece with the bytes so far. */
  readonly onBytes?: (bytes: number) => void
}

/**
 * Writes `stream` to the new file `path` while it counts and hashes. Pieces of nothing but zeros become holes, so that
 * a raw image takes the space of its contents. The stream is destroyed whatever happens; the file is the caller's to remove.
 */
export async function receiveStream(
  stream: Readable,
  path: string,
  options: ReceiveOptions,
): Promise<ReceivedFile> {
  const abort = () => stream.destroy(cancelled(path))
  options.signal.addEventListener('abort', abort, { once: true })
  // An error between two reads must not be an unhandled one; the loop below sees it anyway.
  stream.on('error', () => {})
  try {
    if (options.signal.aborted) throw cancelled(path)
    return await writeAll(stream, path, options)
  } finally {
    options.signal.removeEventListener('abort', abort)
    stream.destroy()
  }
}

async function writeAll(stream: Readable, path: string, options: ReceiveOptions): Promise<ReceivedFile> {
  const hash = createHash('sha256')
  const file = await open(path, 'wx', 0o600)
  try {
    const start = new Start(options.onStart)
    let sizeBytes = 0
    for await (const piece of stream as AsyncIterable<Buffer>) {
      if (sizeBytes + piece.length > options.maxBytes) {
        throw new CloudError(
          sysErrors.invalidArgument,
          `the image is larger than the ${options.maxBytes} bytes allowed for it`,
        )
      }
      start.add(piece)
      hash.update(piece)
      if (!isZeros(piece)) await writePiece(file, piece, sizeBytes)
      sizeBytes += piece.length
      options.onBytes?.(sizeBytes)
    }
    if (options.signal.aborted) throw cancelled(path)
    start.end()
    await file.truncate(sizeBytes)
    return { sizeBytes, sha256: hash.digest('hex') }
  } finally {
    await file.close()
  }
}

const START_BYTES = 64 * 1024

/** Collects the first bytes of a stream and shows them once. */
class Start {
  readonly #pieces: Buffer[] = []
  #length = 0
  #show: ((start: Buffer) => void) | undefined

  constructor(show: ((start: Buffer) => void) | undefined) {
    this.#show = show
  }

  add(piece: Buffer): void {
    if (this.#show === undefined) return
    this.#pieces.push(piece)
    this.#length += piece.length
    if (this.#length >= START_BYTES) this.end()
  }

  end(): void {
    const show = this.#show
    this.#show = undefined
    show?.(Buffer.concat(this.#pieces.splice(0)))
  }
}

type FileHandle = Awaited<ReturnType<typeof open>>

async function writePiece(file: FileHandle, piece: Buffer, position: number): Promise<void> {
  // One write may take less than it was given, for example just before the disk is full.
  for (let done = 0; done < piece.length; ) {
    const { bytesWritten } = await file.write(piece, done, piece.length - done, position + done)
    done += bytesWritten
  }
}

const zeros = Buffer.alloc(64 * 1024)

function isZeros(piece: Buffer): boolean {
  // Short pieces are written as they are: a hole smaller than a block saves nothing.
  if (piece.length < 4096 || piece[0] !== 0) return false
  for (let at = 0; at < piece.length; at += zeros.length) {
    const part = piece.subarray(at, at + zeros.length)
    if (part.compare(zeros, 0, part.length) !== 0) return false
  }
  return true
}

function cancelled(path: string): CloudError {
  return new CloudError(sysErrors.cancelled, `receiving ${path} was cancelled`)
}
