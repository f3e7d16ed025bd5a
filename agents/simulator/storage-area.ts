import type { AgentHandlers, CallInput } from '#agent-rpc'
import type { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import type {
  cacheImage,
  createEmptyVolume,
  createVolumeFromCache,
} from '#agents/kvm-host/contract/storage.ts'
import { CloudError, sysErrors } from '#kernel'
import type { SimulatedFile } from './files.ts'
import { type HostCore, impossible } from './host-state.ts'
import { dial } from './world.ts'

/** What an empty qcow2 file takes before the guest wrote anything. */
export const emptyQcow2Bytes = 196_616

type StorageArea =
  | 'initStorage'
  | 'storageCapacity'
  | 'cacheImage'
  | 'createVolumeFromCache'
  | 'createEmptyVolume'
  | 'deletePath'
  | 'statVolume'
  | 'listStorage'

/** The files of local primary storages. */
export function createStorageHandlers(core: HostCore): Pick<AgentHandlers<typeof kvmHostCalls>, StorageArea> {
  const { files } = core.state
  return {
    initStorage: async ({ root, storageUuid }) => {
      files.addRoot(root, storageUuid)
      return files.space
    },
    storageCapacity: async ({ root }) => {
      files.requireRoot(root)
      return files.space
    },
    cacheImage: (input) => cache(core, input),
    createVolumeFromCache: async (input) => sizes(createOverlay(core, input)),
    createEmptyVolume: async (input) => sizes(createEmpty(core, input)),
    deletePath: async (input) => {
      const path = files.confine(input.path, 'path')
      const deleted = files.delete(path)
      if (!deleted && files.list(path).length > 0)
        throw impossible(core, `${path} is a directory, not a file`)
      return { deleted }
    },
    statVolume: async (input) => stat(files.get(files.confine(input.path, 'path'))),
    listStorage: async ({ root }) => ({ files: files.list(files.requireRoot(root)) }),
  }
}

async function cache(
  core: HostCore,
  input: CallInput<typeof cacheImage>,
): Promise<{ actualSizeBytes: number }> {
  const { files } = core.state
  const path = files.confine(input.cachePath, 'cachePath')
  const { address, port, path: sourcePath } = input.source
  const cached = files.get(path)
  if (cached?.actualSizeBytes === input.sizeBytes) return { actualSizeBytes: cached.actualSizeBytes }
  if (cached !== undefined) {
    const sizes = `${cached.actualSizeBytes} bytes instead of ${input.sizeBytes}`
    throw impossible(core, `the cached image ${path} has ${sizes}; it is left alone`)
  }
  const storage = await dial(core.world.backupStorages, address, port)
  const image = storage.state.files.get(sourcePath)
  const from = `image ${sourcePath} of the backup storage at ${address}:${port}`
  if (image === undefined) throw impossible(core, `cannot cache ${from}: it is not there`)
  if (image.actualSizeBytes !== input.sizeBytes) {
    const sizes = `it has ${image.actualSizeBytes} bytes, not ${input.sizeBytes}`
    throw impossible(core, `cannot cache ${from}: ${sizes}`)
  }
  if (image.sha256 !== input.sha256) {
    throw impossible(core, `cannot cache ${from}: its sha256 is ${image.sha256}, not ${input.sha256}`)
  }
  files.put(path, { ...image, format: input.format })
  return { actualSizeBytes: image.actualSizeBytes }
}

function createOverlay(core: HostCore, input: CallInput<typeof createVolumeFromCache>): SimulatedFile {
  const { files } = core.state
  const backingPath = files.confine(input.cachePath, 'cachePath')
  const image = files.get(backingPath)
  if (image === undefined) {
    throw impossible(core, `the cached image ${backingPath} is not there`, sysErrors.resourceNotFound)
  }
  if (image.format !== input.cacheFormat) {
    throw impossible(core, `the cached image ${backingPath} is ${image.format}, not ${input.cacheFormat}`)
  }
  const virtualSizeBytes = Math.max(image.virtualSizeBytes, wholeSectors(input.sizeBytes ?? 0))
  return createVolume(core, input.installPath, { virtualSizeBytes, backingPath })
}

function createEmpty(core: HostCore, input: CallInput<typeof createEmptyVolume>): SimulatedFile {
  if (input.sizeBytes <= 0) {
    throw new CloudError(sysErrors.invalidArgument, 'field[sizeBytes] of a volume must be positive', {
      opaque: { field: 'sizeBytes' },
    })
  }
  return createVolume(core, input.installPath, { virtualSizeBytes: wholeSectors(input.sizeBytes) })
}

function createVolume(
  core: HostCore,
  installPath: string,
  wanted: { readonly virtualSizeBytes: number; readonly backingPath?: string },
): SimulatedFile {
  const { files } = core.state
  const path = files.confine(installPath, 'installPath')
  if (!path.endsWith('.qcow2')) {
    throw new CloudError(sysErrors.invalidArgument, `field[installPath] ${path} does not end in .qcow2`, {
      opaque: { field: 'installPath' },
    })
  }
  const there = files.get(path)
  if (there === undefined) {
    const file = { format: 'qcow2', actualSizeBytes: emptyQcow2Bytes, ...wanted } as const
    files.put(path, file)
    return file
  }
  const { virtualSizeBytes, backingPath } = there
  if (virtualSizeBytes === wanted.virtualSizeBytes && backingPath === wanted.backingPath) return there
  throw impossible(core, `${path} exists already and is another volume`, sysErrors.createResource)
}

function wholeSectors(bytes: number): number {
  return Math.ceil(bytes / 512) * 512
}

function sizes(file: SimulatedFile): { virtualSizeBytes: number; actualSizeBytes: number } {
  return { virtualSizeBytes: file.virtualSizeBytes, actualSizeBytes: file.actualSizeBytes }
}

function stat(file: SimulatedFile | undefined) {
  if (file === undefined) return { exists: false }
  return {
    exists: true,
    format: file.format === 'iso' ? 'raw' : file.format,
    ...sizes(file),
    ...(file.backingPath === undefined ? {} : { backingPath: file.backingPath }),
  }
}
