import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  deleteFile,
  describeDiskFull,
  fileSystemSpace,
  listFiles,
  SharedWork,
  STAGED_PREFIX,
  StorageRoots,
  statFile,
} from '#agent-files'
import type { AgentHandlers } from '#agent-rpc'
import { CloudError, KeyedQueues, type Logger, newToken, sysErrors } from '#kernel'
import type { BackupArea } from './backup-area.ts'
import type { backupStorageCalls } from './contract/index.ts'
import { downloadImage } from './download-image.ts'
import { createFetchGate, type GateDeps } from './fetch-gate.ts'
import { createImagesRoute } from './images-route.ts'
import { type Probe, probeInJail } from './probe-jail.ts'

export interface BackupStorageDeps {
  /** Directory of the agent's own files; the place of the root is kept in it. */
  readonly stateDirectory: string
  /** Hash of the running agent bundle. */
  readonly agentVersion: string
  readonly log: Logger
  readonly gate?: GateDeps
  readonly probe?: Probe
}

export interface BackupStorage {
  readonly handlers: AgentHandlers<typeof backupStorageCalls>
  /** For other agents: GET /images/<path>. */
  readonly imagesRoute: ReturnType<typeof createImagesRoute>
}

/** The commands of a backup storage agent and the route by which hosts read images. */
export function createBackupStorageHandlers(deps: BackupStorageDeps): BackupStorage {
  const area: BackupArea = {
    roots: new StorageRoots(join(deps.stateDirectory, 'storage-roots.json')),
    queues: new KeyedQueues(),
    transfers: new SharedWork(),
    gate: createFetchGate(deps.gate),
    probe: deps.probe ?? probeInJail,
    log: deps.log,
  }
  return { handlers: handlersOf(area, deps.agentVersion), imagesRoute: createImagesRoute(area) }
}

function handlersOf(area: BackupArea, agentVersion: string): BackupStorage['handlers'] {
  return {
    initBackupStorage: (input) => area.queues.run('root', 'backup.init', () => initRoot(area, input)),
    pingBackupStorage: async () => {
      const root = await requireRoot(area)
      await proveWritable(root)
      return { agentVersion, ...(await fileSystemSpace(root)) }
    },
    downloadImage: (input, context) => downloadImage(area, input, context),
    deleteImage: async (input, { signal }) => {
      const { root, path } = await area.roots.confine(input.imagePath)
      const work = async () => ({ deleted: await deleteFile(root, path) })
      return area.queues.run(path, 'backup.delete', work, signal)
    },
    statImage: async (input) => {
      const { path } = await area.roots.confine(input.imagePath)
      const file = await statFile(path)
      return file === undefined ? { exists: false } : { exists: true, actualSizeBytes: file.sizeBytes }
    },
    listImages: async () => {
      const files = await listFiles(await requireRoot(area))
      return { files: files.map((f) => ({ path: f.path, actualSizeBytes: f.sizeBytes })) }
    },
  }
}

/** One agent serves one storage. Its root may move; another storage needs an agent of its own. */
async function initRoot(area: BackupArea, input: { root: string; storageUuid: string }) {
  const before = await area.roots.list()
  const foreign = before.find((known) => known.storageUuid !== input.storageUuid)
  if (foreign !== undefined) {
    throw new CloudError(
      sysErrors.invalidArgument,
      `this agent serves the backup storage ${foreign.storageUuid} at ${foreign.root} and cannot serve ${input.storageUuid} as well`,
    )
  }
  const { root, swept } = await area.roots.init(input.root, input.storageUuid)
  for (const known of before) if (known.root !== root) await area.roots.forget(known.root)
  if (swept.length > 0) area.log.warn({ root, files: swept }, 'removed half-made files of an earlier run')
  return fileSystemSpace(root)
}

async function requireRoot(area: BackupArea): Promise<string> {
  const [first] = await area.roots.list()
  if (first === undefined) {
    throw new CloudError(
      sysErrors.operationFailed,
      'this agent has no root yet; reconnect the backup storage',
    )
  }
  return (await area.roots.require(first.root)).root
}

async function proveWritable(root: string): Promise<void> {
  const path = join(root, `${STAGED_PREFIX}ping-${newToken(8)}`)
  try {
    await writeFile(path, 'x', { flag: 'wx', mode: 0o600 })
  } catch (error) {
    throw await describeDiskFull(error, path, 'proving that the root is writable with')
  } finally {
    await rm(path, { force: true })
  }
}
