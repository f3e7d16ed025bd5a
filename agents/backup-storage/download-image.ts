import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { fileSystemSpace, readStart, receiveStream, stageFile, statFile } from '#agent-files'
import type { CallContext, CallInput, CallOutput } from '#agent-rpc'
import { CloudError, sysErrors } from '#kernel'
import type { BackupArea } from './backup-area.ts'
import type { downloadImage as contract } from './contract/index.ts'
import type { FetchedSource } from './fetch-gate.ts'
import { checkImageContent } from './image-content.ts'

type DownloadInput = CallInput<typeof contract>
export type DownloadedImage = CallOutput<typeof contract>
type Progress = Pick<CallContext, 'signal' | 'progress'>

const IMAGE_MODE = 0o444

/**
 * Fetches an image, checks it and gives it its name. A repeat finds the image and establishes its facts again. Calls for the
 * same path share one transfer. On any failure nothing is left.
 */
export async function downloadImage(
  area: BackupArea,
  input: DownloadInput,
  context: CallContext,
): Promise<DownloadedImage> {
  const { root, path } = await area.roots.confine(input.imagePath)
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([input.url, input.expectedFormat]))
    .digest('hex')
  return area.transfers.run(path, fingerprint, context, (shared) => {
    const work = async () =>
      (await statFile(path)) === undefined
        ? await fetchNew(area, { ...input, root, path }, shared)
        : await inspectPresent(area, path, input.expectedFormat, shared.signal)
    return area.queues.run(path, 'backup.download', work, shared.signal)
  })
}

type Download = DownloadInput & { readonly root: string; readonly path: string }

async function fetchNew(area: BackupArea, download: Download, context: Progress): Promise<DownloadedImage> {
  const source = await area.gate(download.url, download, context.signal)
  try {
    await requireSpace(download.root, source.sizeBytes)
  } catch (error) {
    source.stream.on('error', () => {}).destroy()
    throw error
  }
  const target = { root: download.root, finalPath: download.path, mode: IMAGE_MODE }
  const image = await stageFile(target, async (temporary) => {
    const received = await receive(source, temporary, download, context)
    const checked = await checkFile(area, temporary, download.expectedFormat, context.signal)
    return { ...checked, actualSizeBytes: received.sizeBytes, sha256: received.sha256 }
  })
  area.log.info({ path: download.path, sizeBytes: image.actualSizeBytes }, 'image added')
  return image
}

async function receive(source: FetchedSource, temporary: string, download: Download, context: Progress) {
  const { stream, sizeBytes: announced } = source
  try {
    const received = await receiveStream(stream, temporary, {
      maxBytes: download.maxBytes,
      signal: context.signal,
      // Before gigabytes of the wrong thing have come. The whole file is looked at again.
      onStart: (start) => checkImageContent(download.expectedFormat, { start, end: Buffer.alloc(0) }),
      onBytes: (bytes) => context.progress(announced === undefined ? 0 : (bytes / announced) * 99),
    })
    if (announced === undefined || received.sizeBytes === announced) return received
  } catch (error) {
    // Any other (a full disk, the size limit) speaks for itself.
    throw error === stream.errored ? source.explain(error) : error
  }
  throw new CloudError(
    sysErrors.httpError,
    `the transfer was cut off: ${announced} bytes were announced, fewer came`,
  )
}

async function checkFile(
  area: BackupArea,
  path: string,
  format: DownloadInput['expectedFormat'],
  signal: AbortSignal,
): Promise<Pick<DownloadedImage, 'format' | 'virtualSizeBytes'>> {
  checkImageContent(format, { start: await readStart(path), end: await readEnd(path) })
  const probed = await area.probe(path, format === 'qcow2' ? 'qcow2' : 'raw', signal)
  return { format, virtualSizeBytes: probed.virtualSizeBytes }
}

async function inspectPresent(
  area: BackupArea,
  path: string,
  format: DownloadInput['expectedFormat'],
  signal: AbortSignal,
): Promise<DownloadedImage> {
  const checked = await checkFile(area, path, format, signal)
  const hash = createHash('sha256')
  let actualSizeBytes = 0
  for await (const piece of createReadStream(path, { signal, highWaterMark: 1024 * 1024 })) {
    hash.update(piece as Buffer)
    actualSizeBytes += (piece as Buffer).length
  }
  return { ...checked, actualSizeBytes, sha256: hash.digest('hex') }
}

async function requireSpace(root: string, sizeBytes: number | undefined): Promise<void> {
  const { availableBytes } = await fileSystemSpace(root)
  if (sizeBytes === undefined || sizeBytes <= availableBytes) return
  throw new CloudError(
    sysErrors.ioError,
    `the image has ${sizeBytes} bytes, but only ${availableBytes} are free on the file system of ${root}`,
    { opaque: { root, availableBytes } },
  )
}

async function readEnd(path: string): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const length = Math.min(512, size)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
