import { fileSystemSpace, listFiles, SharedWork, StorageRoots } from '#agent-files'
import type { AgentHandlers } from '#agent-rpc'
import { KeyedQueues, type Logger } from '#kernel'
import * as contract from '../contract/storage.ts'
import { cacheImage, type OpenImage } from './cache-image.ts'
import type { StorageArea } from './storage-area.ts'
import { createEmptyVolume, createVolumeFromCache, deletePath, statVolume } from './volumes.ts'

const storageCalls = {
  initStorage: contract.initStorage,
  storageCapacity: contract.storageCapacity,
  cacheImage: contract.cacheImage,
  createVolumeFromCache: contract.createVolumeFromCache,
  createEmptyVolume: contract.createEmptyVolume,
  deletePath: contract.deletePath,
  statVolume: contract.statVolume,
  listStorage: contract.listStorage,
} as const

export type StorageHandlers = AgentHandlers<typeof storageCalls>

export interface StorageDeps {
  /** Directory of the agent's own files; the list of storage roots is kept in it. */
  readonly stateDirectory: string
  /** Opens an image on a backup storage agent, over mutual TLS. */
  readonly openImage: OpenImage
  readonly log: Logger
}

/** The storage commands of a KVM host. */
export function createStorageHandlers(deps: StorageDeps): StorageHandlers {
  const area: StorageArea = {
    roots: new StorageRoots(`${deps.stateDirectory}/storage-roots.json`),
    queues: new KeyedQueues(),
    transfers: new SharedWork(),
    openImage: deps.openImage,
    log: deps.log,
  }
  return {
    initStorage: async (input) => {
      const { root, swept } = await area.roots.init(input.root, input.storageUuid)
      if (swept.length > 0) area.log.warn({ root, files: swept }, 'removed half-made files of an earlier run')
      return fileSystemSpace(root)
    },
    storageCapacity: async (input) => fileSystemSpace((await area.roots.require(input.root)).root),
    cacheImage: (input, context) => cacheImage(area, input, context),
    createVolumeFromCache: (input, context) => createVolumeFromCache(area, input, context),
    createEmptyVolume: (input, context) => createEmptyVolume(area, input, context),
    deletePath: (input, context) => deletePath(area, input, context),
    statVolume: (input, context) => statVolume(area, input, context),
    listStorage: async (input) => {
      const files = await listFiles((await area.roots.require(input.root)).root)
      return { files: files.map((f) => ({ path: f.path, actualSizeBytes: f.diskBytes })) }
    },
  }
}
