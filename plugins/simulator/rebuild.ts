import type { AgentClient } from '#agent-rpc'
import { backupStorageCalls } from '#agents/backup-storage/contract/index.ts'
import * as storage from '#agents/kvm-host/contract/storage.ts'
import { find, findOne, get, not } from '#db'
import type { PluginContext } from '#plugin-host'
import { backupStorage } from '#plugins/backup-storage/contract/resources.ts'
import { type Host, host } from '#plugins/host/contract/resources.ts'
import { type Image, image, imageBackupStorageRef } from '#plugins/image/contract/resources.ts'
import {
  localImageCache,
  localStorageHostRef,
  localStorageResourceRef,
} from '#plugins/local-storage/contract/resources.ts'
import { primaryStorage } from '#plugins/primary-storage/contract/resources.ts'
import { volume } from '#plugins/volume/contract/resources.ts'
import { backupStorageType, hostType } from './handlers.ts'

export interface SimulatedAgents {
  host(uuid: string): Promise<AgentClient>
  backupStorage(uuid: string): Promise<AgentClient>
  imageAddress(uuid: string): Promise<{ address: string; port: number }>
}

/**
 * Simulated machines live in the memory of the management process and are switched off with it. When it starts again their disks are
 * filled with what the database says they hold; guests are off, as after a power cut of real hosts. What was being made when it stopped
 * is left out: it is about to be taken back.
 */
export async function rebuildDisks(ctx: PluginContext, agents: SimulatedAgents): Promise<void> {
  const settled = { status: not('Connecting') }
  for (const { uuid, url } of await find(ctx.db, backupStorage, { type: backupStorageType, ...settled })) {
    const agent = await agents.backupStorage(uuid)
    await agent.call(backupStorageCalls.initBackupStorage, { root: url, storageUuid: uuid })
    for (const ref of await find(ctx.db, imageBackupStorageRef, { backupStorageUuid: uuid })) {
      const row = await findOne(ctx.db, image, { uuid: ref.imageUuid })
      if (row?.status === 'Ready' && row.sha256 !== undefined) await fetchAgain(agent, row, ref.installPath)
    }
  }
  for (const row of await find(ctx.db, host, { hypervisorType: hostType, ...settled }))
    await rebuildHost(ctx, agents, row)
}

async function fetchAgain(agent: AgentClient, row: Image, imagePath: string): Promise<void> {
  if ((await agent.call(backupStorageCalls.statImage, { imagePath })).exists) return
  const expectedFormat = formatOf(row.format)
  const limits = { maxBytes: Number.MAX_SAFE_INTEGER, allowPrivateAddresses: true, filePrefixes: [] }
  await agent.call(backupStorageCalls.downloadImage, { url: row.url, imagePath, expectedFormat, ...limits })
}

async function rebuildHost(
  ctx: PluginContext,
  agents: SimulatedAgents,
  { uuid: hostUuid }: Host,
): Promise<void> {
  const agent = await agents.host(hostUuid)
  for (const { primaryStorageUuid } of await find(ctx.db, localStorageHostRef, { hostUuid })) {
    const { url } = await get(ctx.db, primaryStorage, primaryStorageUuid)
    await agent.call(storage.initStorage, { root: url, storageUuid: primaryStorageUuid })
  }
  for (const cache of await find(ctx.db, localImageCache, { hostUuid }))
    await cacheAgain(ctx, agents, agent, cache)
  for (const { resourceUuid } of await find(ctx.db, localStorageResourceRef, { hostUuid })) {
    await makeAgain(ctx, agent, hostUuid, resourceUuid)
  }
}

async function cacheAgain(
  ctx: PluginContext,
  agents: SimulatedAgents,
  agent: AgentClient,
  cache: { imageUuid: string; installPath: string },
): Promise<void> {
  const row = await findOne(ctx.db, image, { uuid: cache.imageUuid })
  const ref = await findOne(ctx.db, imageBackupStorageRef, { imageUuid: cache.imageUuid })
  // A cached image whose original is gone cannot be brought again; nothing new is built on it either.
  if (row?.sha256 === undefined || ref === undefined) return
  const from = await agents.imageAddress(ref.backupStorageUuid)
  await agent.call(storage.cacheImage, {
    source: { ...from, path: ref.installPath },
    cachePath: cache.installPath,
    sizeBytes: row.actualSize,
    sha256: row.sha256,
    format: formatOf(row.format),
  })
}

async function makeAgain(
  ctx: PluginContext,
  agent: AgentClient,
  hostUuid: string,
  uuid: string,
): Promise<void> {
  const row = await findOne(ctx.db, volume, { uuid })
  if (row?.installPath === undefined || row.status === 'Creating') return
  const cache =
    row.rootImageUuid === undefined
      ? undefined
      : await findOne(ctx.db, localImageCache, { imageUuid: row.rootImageUuid, hostUuid })
  const { installPath, size: sizeBytes } = row
  if (cache === undefined) {
    await agent.call(storage.createEmptyVolume, { installPath, sizeBytes })
    return
  }
  const cacheFormat = cache.installPath.endsWith('.img') ? 'raw' : 'qcow2'
  await agent.call(storage.createVolumeFromCache, {
    cachePath: cache.installPath,
    cacheFormat,
    installPath,
    sizeBytes,
  })
}

function formatOf(format: string): 'qcow2' | 'raw' | 'iso' {
  return format === 'raw' || format === 'iso' ? format : 'qcow2'
}
