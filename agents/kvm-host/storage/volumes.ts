import { deleteFile, stageFile, statFile } from '#agent-files'
import type { CallContext, CallInput, CallOutput } from '#agent-rpc'
import { CloudError, sysErrors } from '#kernel'
import type * as contract from '../contract/storage.ts'
import { createQcow2, type DiskFormat, type DiskInfo, readDiskInfo } from './qemu-img.ts'
import type { StorageArea } from './storage-area.ts'

const SECTOR_BYTES = 512
/** A volume is its tenant's: nobody but root and the QEMU process libvirt hands it to may read it. */
const VOLUME_MODE = 0o600

type VolumeSizes = CallOutput<typeof contract.createEmptyVolume>

/** Creates an overlay on a cached image, at least as large as the image. */
export async function createVolumeFromCache(
  area: StorageArea,
  input: CallInput<typeof contract.createVolumeFromCache>,
  { signal }: CallContext,
): Promise<VolumeSizes> {
  const cache = await area.roots.confine(input.cachePath)
  if ((await statFile(cache.path)) === undefined) {
    throw new CloudError(
      sysErrors.resourceNotFound,
      `the cached image ${cache.path} is not there; it must be brought into the cache first`,
    )
  }
  const image = await readDiskInfo(cache.path, input.cacheFormat, signal)
  if (image.backingPath !== undefined) {
    throw new CloudError(
      sysErrors.invalidArgument,
      `the cached image ${cache.path} is itself an overlay on ${image.backingPath}, which a cached image never is`,
    )
  }
  const sizeBytes = Math.max(image.virtualSizeBytes, wholeSectors(input.sizeBytes ?? 0))
  const backing = { path: cache.path, format: input.cacheFormat }
  return createVolume(area, { installPath: input.installPath, sizeBytes, backing, signal })
}

/** Creates an empty volume, its size rounded up to whole sectors. */
export async function createEmptyVolume(
  area: StorageArea,
  input: CallInput<typeof contract.createEmptyVolume>,
  { signal }: CallContext,
): Promise<VolumeSizes> {
  if (input.sizeBytes <= 0) {
    throw new CloudError(sysErrors.invalidArgument, `a volume of ${input.sizeBytes} bytes cannot be created`)
  }
  const sizeBytes = wholeSectors(input.sizeBytes)
  return createVolume(area, { installPath: input.installPath, sizeBytes, backing: undefined, signal })
}

/** Deletes one file and the directories it leaves empty. */
export async function deletePath(
  area: StorageArea,
  input: CallInput<typeof contract.deletePath>,
  { signal }: CallContext,
): Promise<{ deleted: boolean }> {
  const { root, path } = await area.roots.confine(input.path)
  const work = async () => ({ deleted: await deleteFile(root, path) })
  return area.queues.run(path, 'storage.delete', work, signal)
}

/** What is known of a volume; the extension tells the format. */
export async function statVolume(
  area: StorageArea,
  input: CallInput<typeof contract.statVolume>,
  { signal }: CallContext,
): Promise<CallOutput<typeof contract.statVolume>> {
  const { path } = await area.roots.confine(input.path)
  const file = await statFile(path)
  if (file === undefined) return { exists: false }
  const format = formatByName(path)
  const info = await readDiskInfo(path, format, signal)
  return {
    exists: true,
    format,
    virtualSizeBytes: info.virtualSizeBytes,
    actualSizeBytes: file.diskBytes,
    ...(info.backingPath === undefined ? {} : { backingPath: info.backingPath }),
  }
}

interface NewVolume {
  readonly installPath: string
  readonly sizeBytes: number
  readonly backing: { readonly path: string; readonly format: DiskFormat } | undefined
  readonly signal: AbortSignal
}

async function createVolume(area: StorageArea, volume: NewVolume): Promise<VolumeSizes> {
  const { root, path } = await area.roots.confine(volume.installPath)
  // By its name alone the format must be known later on.
  if (formatByName(path) !== 'qcow2') {
    throw new CloudError(sysErrors.invalidArgument, `a volume is a qcow2 file, so ${path} must end in .qcow2`)
  }
  const work = async () => {
    if ((await statFile(path)) !== undefined) await requireSame(path, volume)
    else {
      const { backing, sizeBytes, signal } = volume
      await stageFile({ root, finalPath: path, mode: VOLUME_MODE }, (temporary) =>
        createQcow2(temporary, backing === undefined ? { sizeBytes } : { sizeBytes, backing }, signal),
      )
    }
    const file = await statFile(path)
    return { virtualSizeBytes: volume.sizeBytes, actualSizeBytes: file?.diskBytes ?? 0 }
  }
  return area.queues.run(path, 'create a volume', work, volume.signal)
}

async function requireSame(path: string, wanted: NewVolume): Promise<void> {
  const found = await readDiskInfo(path, 'qcow2', wanted.signal)
  const same =
    found.virtualSizeBytes === wanted.sizeBytes &&
    found.backingPath === wanted.backing?.path &&
    found.backingFormat === wanted.backing?.format
  if (same) return
  throw new CloudError(
    sysErrors.createResource,
    `${path} exists already and is another volume: ${describe(found)}, but wanted is ` +
      describe({
        virtualSizeBytes: wanted.sizeBytes,
        backingPath: wanted.backing?.path,
        backingFormat: wanted.backing?.format,
      }),
  )
}

function describe(disk: DiskInfo): string {
  const on =
    disk.backingPath === undefined ? 'no image' : `${disk.backingPath} (${disk.backingFormat ?? 'no format'})`
  return `${disk.virtualSizeBytes} bytes on ${on}`
}

function formatByName(path: string): DiskFormat {
  if (path.endsWith('.qcow2')) return 'qcow2'
  if (/\.(img|raw|iso)$/.test(path)) return 'raw'
  throw new CloudError(
    sysErrors.invalidArgument,
    `the name of ${path} does not tell its format; it must end in .qcow2, .img, .raw or .iso`,
  )
}

function wholeSectors(bytes: number): number {
  return Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES
}
