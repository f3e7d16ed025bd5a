import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalAgent } from '#agent-rpc'
import { backupStorageCalls, initBackupStorage } from '#agents/backup-storage/contract/index.ts'
import {
  createSimulatedBackupStorage,
  type SimulatedBackupStorage,
} from '#agents/simulator/backup-storage.ts'
import { createSimulatedWorld } from '#agents/simulator/world.ts'
import type { Api, Input } from '#contract'
import { newUuid, silentLogger } from '#kernel'
import { authenticator, type Cloud, createCloud, definePlugin, type Plugin } from '#plugin-host'
import { garbageCollectorPlugin } from '#plugins/garbage-collector/plugin.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { hostMigrations } from '#plugins/host/migrations.ts'
import { tagPlugin } from '#plugins/tag/plugin.ts'
import { zonePlugin } from '#plugins/zone/plugin.ts'
import { openTestDatabase } from '#testkit'
import type { WorkflowObserver } from '#workflow'
import { backupStorageConnector } from '../contract/extensions.ts'
import { addBackupStorage } from '../contract/messages.ts'
import type { BackupStorage } from '../contract/resources.ts'
import { backupStoragePlugin } from '../plugin.ts'

export const accountUuid = newUuid()

/** A cloud with simulated image servers, each found under its backup storage's uuid. */
export interface StorageCloud {
  readonly cloud: Cloud
  readonly dataDir: string
  readonly servers: Map<string, SimulatedBackupStorage>
  /** Backup storages whose connector was told to forget them. */
  readonly forgotten: string[]
  call<A extends Api>(api: A, params: Partial<Input<A>>): Promise<Record<string, never>>
  list(api: Api): Promise<Record<string, never>[]>
  addStorage(name?: string): Promise<BackupStorage>
  stop(): Promise<void>
}

const hostRows = definePlugin({
  name: 'host',
  resources: [host],
  migrations: hostMigrations,
  setup: () => {},
})

/** Starts one with `plugins` beside zone and backup storage; `arrange` runs before it serves. */
export async function startStorageCloud(
  plugins: readonly Plugin[] = [],
  options: { arrange?: (cloud: Cloud) => void; observe?: WorkflowObserver } = {},
): Promise<StorageCloud> {
  const dataDir = await mkdtemp(join(tmpdir(), 'zstack-images-'))
  const servers = new Map<string, SimulatedBackupStorage>()
  const forgotten: string[] = []
  const cloud = await createCloud({
    plugins: [
      zonePlugin,
      identityStub,
      tagPlugin,
      backupStoragePlugin,
      hostRows,
      garbageCollectorPlugin,
      simulatorStub(servers, forgotten),
      ...plugins,
    ],
    db: await openTestDatabase(dataDir),
    node: { uuid: newUuid(), address: '127.0.0.1', dataDir, version: 'test' },
    log: silentLogger,
    ...(options.observe === undefined ? {} : { observe: options.observe }),
  })
  options.arrange?.(cloud)
  await cloud.start()
  const call: StorageCloud['call'] = async (api, params) =>
    (await cloud.dispatcher.call({ api, params })) as Record<string, never>
  return {
    cloud,
    dataDir,
    servers,
    forgotten,
    call,
    list: async (api) => (await call(api, {})).inventories ?? [],
    addStorage: (name = 'images') =>
      cloud.context.bus.call(addBackupStorage, { storage: storageRow(newUuid(), name) }),
    stop: async () => {
      await cloud.stop()
      await rm(dataDir, { recursive: true })
    },
  }
}

export function storageRow(uuid: string, name: string): BackupStorage {
  const now = Date.now()
  return {
    uuid,
    name,
    url: '/images',
    totalCapacity: 0,
    availableCapacity: 0,
    type: 'SimulatorBackupStorage',
    state: 'Enabled',
    status: 'Connecting',
    createDate: now,
    lastOpDate: now,
  }
}

const identityStub = definePlugin({
  name: 'identity',
  setup: (ctx) => ctx.provide(authenticator, 'session', async () => ({ accountUuid })),
})

function simulatorStub(servers: Map<string, SimulatedBackupStorage>, forgotten: string[]): Plugin {
  const world = createSimulatedWorld()
  const server = (uuid: string) => {
    const address = `server-${uuid}`
    const found = servers.get(uuid) ?? createSimulatedBackupStorage({ world, address })
    servers.set(uuid, found)
    return found
  }
  const client = async (uuid: string) => createLocalAgent(backupStorageCalls, server(uuid).handlers)
  return definePlugin({
    name: 'simulator',
    setup(ctx) {
      ctx.provide(backupStorageConnector, 'SimulatorBackupStorage', {
        client,
        connect: async ({ uuid, name, url }) => {
          if (name === 'refused') server(uuid).knobs.failAlways('initBackupStorage', 'the disk is read-only')
          return (await client(uuid)).call(initBackupStorage, { root: url, storageUuid: uuid })
        },
        imageAddress: async (uuid) => ({ address: server(uuid).address, port: server(uuid).port }),
        forget: async (uuid) => void forgotten.push(uuid),
      })
    },
  })
}
