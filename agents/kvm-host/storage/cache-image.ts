import type { Readable } from 'node:stream'
import {
  fileSystemSpace,
  inspectQcow2Header,
  readStart,
  receiveStream,
  refuseOutwardQcow2,
  stageFile,
  statFile,
} from '#agent-files'
import type { CallContext, CallInput } from '#agent-rpc'
import { CloudError, sysErrors } from '#kernel'
import type * as contract from '../contract/storage.ts'
import type { StorageArea } from './storage-area.ts'

type CacheInput = CallInput<typeof contract.cacheImage>

/** Opens an image on a backup storage agent; `size` is the length of the whole file in bytes. */
export type OpenImage = (
  source: { readonly address: string; readonly port: number; readonly path: string },
  signal: AbortSignal,
) => Promise<{ readonly stream: Readable; readonly size: number }>

/** Shared by all overlays made of it, so nobody may write it. */
const CACHE_MODE = 0o444

/**
 * Brings an image into the cache and proves that it is the one meant. Calls for the same path share one transfer, which ends
 * when the last caller has left. SYS.1006 when the bytes are not the ones expected.
 */
export async function cacheImage(
  area: StorageArea,
  input: CacheInput,
  context: CallContext,
): Promise<{ actualSizeBytes: number }> {
  const { root, path } = await area.roots.confine(input.cachePath)
  const fingerprint = JSON.stringify([input.sha256, input.sizeBytes, input.format])
  return area.transfers.run(path, fingerprint, context, (shared) => {
    const work = () => fillCache(area, { ...input, root, path }, shared)
    return area.queues.run(path, 'storage.cache-image', work, shared.signal)
  })
}

type Transfer = CacheInput & { readonly root: string; readonly path: string }

async function fillCache(
  area: StorageArea,
  transfer: Transfer,
  context: Pick<CallContext, 'signal' | 'progress'>,
): Promise<{ actualSizeBytes: number }> {
  const { path, sizeBytes } = transfer
  const present = await statFile(path)
  if (present !== undefined) {
    // A cached file was checked before it got its name and cannot be written; hashing it again for each VM would cost minutes.
    if (present.sizeBytes === sizeBytes) return { actualSizeBytes: present.diskBytes }
    throw new CloudError(
      sysErrors.operationFailed,
      `the cached image ${path} has ${present.sizeBytes} bytes instead of ${sizeBytes}: it was changed behind our back; ` +
        'volumes on this host may depend on it, so it is left alone',
    )
  }
  await requireSpace(transfer)
  const target = { root: transfer.root, finalPath: path, mode: CACHE_MODE }
  await stageFile(target, (temporary) => receiveImage(area, transfer, temporary, context))
  area.log.info({ path, sizeBytes }, 'image cached')
  return { actualSizeBytes: (await statFile(path))?.diskBytes ?? 0 }
}

async function receiveImage(
  area: StorageArea,
  transfer: Transfer,
  temporary: string,
  context: Pick<CallContext, 'signal' | 'progress'>,
): Promise<void> {
  const { sizeBytes, source } = transfer
  const where = `${source.path} on the backup storage agent ${source.address}:${source.port}`
  const image = await area.openImage(source, context.signal)
  if (image.size !== sizeBytes) {
    image.stream.on('error', () => {}).destroy()
    throw new CloudError(
      sysErrors.operationFailed,
      `${where} has ${image.size} bytes instead of ${sizeBytes}`,
    )
  }
  const received = await receiveStream(image.stream, temporary, {
    maxBytes: sizeBytes,
    signal: context.signal,
    onBytes: (bytes) => context.progress((bytes / sizeBytes) * 100),
  })
  if (received.sizeBytes !== sizeBytes) {
    throw new CloudError(
      sysErrors.operationFailed,
      `${where} ended after ${received.sizeBytes} of ${sizeBytes} bytes; the transfer was cut off, try again`,
    )
  }
  if (received.sha256 !== transfer.sha256) {
    throw new CloudError(
      sysErrors.operationFailed,
      `${where} is damaged: its sha256 is ${received.sha256} instead of ${transfer.sha256}`,
    )
  }
  // The backup storage checked this too; the host does not take its word for what QEMU will open.
  if (transfer.format === 'qcow2') refuseOutwardQcow2(inspectQcow2Header(await readStart(temporary)))
}

async function requireSpace(transfer: Transfer): Promise<void> {
  const { availableBytes } = await fileSystemSpace(transfer.root)
  if (availableBytes >= transfer.sizeBytes) return
  throw new CloudError(
    sysErrors.ioError,
    `the image for ${transfer.path} needs ${transfer.sizeBytes} bytes, but only ${availableBytes} are free on its file system`,
    { opaque: { path: transfer.path, availableBytes } },
  )
}
