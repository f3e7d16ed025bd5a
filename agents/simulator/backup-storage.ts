import type { AgentHandlers } from '#agent-rpc'
import { backupStorageCalls } from '#agents/backup-storage/contract/index.ts'
import { CloudError, sysErrors } from '#kernel'
import { SimulatedFiles } from './files.ts'
import { download } from './image-download.ts'
import { type CallKnobs, gateHandlers } from './knobs.ts'
import { Power } from './power.ts'
import { createSimulatedWorld, type SimulatedWorld, settle } from './world.ts'

type StorageHandlers = AgentHandlers<typeof backupStorageCalls>

export interface SimulatedBackupStorageOptions {
  /** Hosts that fetch images from it; its own world when absent. */
  readonly world?: SimulatedWorld
  readonly address?: string
  readonly port?: number
  readonly totalDiskBytes?: number
  readonly agentVersion?: string
}

export interface BackupStorageKnobs extends CallKnobs<keyof StorageHandlers> {
  /** Changes the size of the file system; smaller than what is used means full. */
  resizeDisk(totalBytes: number): void
}

/** An image server that exists in memory only. */
export interface SimulatedBackupStorage {
  readonly address: string
  readonly port: number
  readonly handlers: StorageHandlers
  readonly state: { readonly files: SimulatedFiles }
  readonly knobs: BackupStorageKnobs
  /** How hosts dial it: ends when it answers, SYS.1016 when it is dead. */
  reach(): Promise<void>
}

/** Makes a backup storage, up and running, and settles it in its world. */
export function createSimulatedBackupStorage(
  options: SimulatedBackupStorageOptions = {},
): SimulatedBackupStorage {
  const { address = '10.0.0.2', port = 7171, world = createSimulatedWorld() } = options
  const name = `backup storage ${address}:${port}`
  const files = new SimulatedFiles(name, options.totalDiskBytes ?? 2 ** 40)
  const power = new Power(name)
  const raw = createHandlers(files, options.agentVersion ?? 'simulated')
  const { handlers, knobs } = gateHandlers(backupStorageCalls, raw, power)
  return settle(world.backupStorages, {
    address,
    port,
    handlers,
    state: { files },
    knobs: {
      ...knobs,
      resizeDisk: (totalBytes) => files.resize(totalBytes),
    },
    reach: () => power.pass(),
  })
}

function createHandlers(files: SimulatedFiles, agentVersion: string): StorageHandlers {
  return {
    initBackupStorage: async (input) => {
      initRoot(files, input)
      return files.space
    },
    pingBackupStorage: async () => {
      if (files.roots.length > 0) return { agentVersion, ...files.space }
      throw new CloudError(sysErrors.operationFailed, 'the backup storage has no root; initialise it first')
    },
    downloadImage: async (input, context) => {
      const downloaded = download(files, input)
      context.progress(100)
      return downloaded
    },
    deleteImage: async (input) => ({ deleted: files.delete(files.confine(input.imagePath, 'imagePath')) }),
    statImage: async (input) => {
      const file = files.get(files.confine(input.imagePath, 'imagePath'))
      return file === undefined ? { exists: false } : { exists: true, actualSizeBytes: file.actualSizeBytes }
    },
    listImages: async () => ({ files: files.roots.flatMap((root) => files.list(root)) }),
  }
}

/** One agent serves one storage; its root may move. */
function initRoot(files: SimulatedFiles, input: { root: string; storageUuid: string }): void {
  for (const known of files.roots) {
    const owner = files.storageOf(known)
    if (owner === input.storageUuid) continue
    const why = `this agent serves the backup storage ${owner} and cannot serve ${input.storageUuid} as well`
    throw new CloudError(sysErrors.invalidArgument, why)
  }
  const root = files.addRoot(input.root, input.storageUuid)
  for (const known of files.roots) if (known !== root) files.forgetRoot(known)
}
