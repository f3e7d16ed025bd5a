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
    initStorage: async ({ root }) => {
      files.addRoot(root)
      return files.space
    },
    storageCapacity: async ({ root }) => {
      files.confine(root, 'root', true)
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
    listStorage: async ({ root }) => ({ files: files.list(files.confine(root, 'root', true)) }),
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
  if (cached?.sha256 === input.sha256) return { actualSizeBytes: cached.actualSizeBytes }
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
  const path = files.confine(input.installPath, 'installPath')
  const there = files.get(path)
  if (there !== undefined) {
    if (there.backingPath === backingPath) return there
    throw impossible(core, `cannot create ${path}: another file is there, not an overlay of ${backingPath}`)
  }
  const image = files.get(backingPath)
  if (image === undefined) throw impossible(core, `cannot create ${path}: no cached image ${backingPath}`)
  if (image.format !== input.cacheFormat) {
    const formats = `cached image ${backingPath} is ${image.format}, not ${input.cacheFormat}`
    throw impossible(core, `cannot create ${path}: ${formats}`)
  }
  const virtualSizeBytes = Math.max(image.virtualSizeBytes, input.sizeBytes ?? 0)
  const file = { format: 'qcow2', virtualSizeBytes, actualSizeBytes: emptyQcow2Bytes, backingPath } as const
  files.put(path, file)
  return file
}

function createEmpty(core: HostCore, input: CallInput<typeof createEmptyVolume>): SimulatedFile {
  const { files } = core.state
  const path = files.confine(input.installPath, 'installPath')
  if (input.sizeBytes <= 0) {
    throw new CloudError(sysErrors.invalidArgument, `field[sizeBytes] of ${path} must be positive`, {
      opaque: { field: 'sizeBytes' },
    })
  }
  const there = files.get(path)
  if (there !== undefined) {
    if (there.backingPath === undefined && there.virtualSizeBytes === input.sizeBytes) return there
    throw impossible(core, `cannot create ${path}: another file is there, not an empty volume of this size`)
  }
  const file = {
    format: 'qcow2',
    virtualSizeBytes: input.sizeBytes,
    actualSizeBytes: emptyQcow2Bytes,
  } as const
  files.put(path, file)
  return file
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
