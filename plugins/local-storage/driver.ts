import type { AgentClient } from '#agent-rpc'
import * as calls from '#agents/kvm-host/contract/storage.ts'
import { find, findOne, oneOf, remove } from '#db'
import { currentTask, describeError, formatSize } from '#kernel'
import { laneOf, type PluginContext } from '#plugin-host'
import { imageAddress } from '#plugins/backup-storage/contract/messages.ts'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import type { PlacementSpec, Rejection } from '#plugins/host/contract/extensions.ts'
import type { Host } from '#plugins/host/contract/resources.ts'
import { imageCopyParallelism } from '#plugins/primary-storage/contract/configs.ts'
import type {
  ImageSource,
  MadeVolume,
  PrimaryStorageDriver,
  VolumePlace,
} from '#plugins/primary-storage/contract/extensions.ts'
import type { PrimaryStorage } from '#plugins/primary-storage/contract/resources.ts'
import * as capacity from './capacity.ts'
import { localImageCache, localStorageHostRef, localStorageResourceRef } from './contract/resources.ts'
import { checkImageCaches, dropImageCaches } from './image-cache.ts'
import { cachePath, volumePath } from './paths.ts'

/** Volumes on the hosts' own disks: overlays on images that each host caches once. */
export function localStorageDriver(ctx: PluginContext): PrimaryStorageDriver {
  const { db, config } = ctx
  const books = capacity.booksOf(ctx)
  const agent = (hostUuid: string) => agentOfHost(ctx, hostUuid)
  const cached = (storage: PrimaryStorage, hostUuid: string, image: ImageSource) =>
    bringImage(ctx, storage, hostUuid, image)

  return {
    hostBound: true,
    connectHost: async (storage, h) => {
      const disk = await (await agent(h.uuid)).call(calls.initStorage, {
        root: storage.url,
        storageUuid: storage.uuid,
      })
      const where = { primaryStorageUuid: storage.uuid, hostUuid: h.uuid }
      await db.write((tx) => capacity.recordHost(tx, config, where, disk))
      await checkImageCaches(ctx, where)
    },
    forgetHost: async (storage, hostUuid) => {
      const where = { primaryStorageUuid: storage.uuid, hostUuid }
      await dropImageCaches(ctx, where)
      await db.write(async (tx) => {
        await remove(tx, localImageCache, where)
        await remove(tx, localStorageResourceRef, where)
        await remove(tx, localStorageHostRef, where)
      })
    },
    recount: (tx, uuid) => capacity.recountHosts(tx, config, uuid),
    capacity: (tx, uuid) => capacity.totals(tx, uuid),
    reject: (storage, candidates, spec) => reject(ctx, storage, candidates, spec),
    reserve: (tx, place) => capacity.reserveVolume(tx, books, place),
    release: (tx, volumeUuid, hostUuid) => capacity.releaseVolume(tx, books, volumeUuid, hostUuid),
    hostsOf: async (volumeUuid) => {
      const refs = await find(
        db,
        localStorageResourceRef,
        { resourceUuid: volumeUuid },
        { orderBy: ['createDate'] },
      )
      return refs.map((ref) => ref.hostUuid)
    },
    installPath: (storage, place) => volumePath(storage.url, place),
    createFromImage: async (storage, place, image) => {
      const path = await cached(storage, place.hostUuid, image)
      const made = await (await agent(place.hostUuid)).call(calls.createVolumeFromCache, {
        cachePath: path,
        cacheFormat: image.format === 'raw' ? 'raw' : 'qcow2',
        installPath: volumePath(storage.url, place),
        sizeBytes: place.sizeBytes,
      })
      return madeVolume(storage, place, made)
    },
    createEmpty: async (storage, place) => {
      const input = { installPath: volumePath(storage.url, place), sizeBytes: place.sizeBytes }
      return madeVolume(
        storage,
        place,
        await (await agent(place.hostUuid)).call(calls.createEmptyVolume, input),
      )
    },
    provideIso: (storage, hostUuid, image) => cached(storage, hostUuid, image),
    delete: async (_storage, { installPath, hostUuid }) => {
      await (await agent(hostUuid)).call(calls.deletePath, { path: installPath })
    },
  }
}

function madeVolume(
  storage: PrimaryStorage,
  place: VolumePlace,
  made: { virtualSizeBytes: number; actualSizeBytes: number },
): MadeVolume {
  return { installPath: volumePath(storage.url, place), format: 'qcow2', ...made }
}

async function bringImage(
  ctx: PluginContext,
  storage: PrimaryStorage,
  hostUuid: string,
  image: ImageSource,
): Promise<string> {
  const path = cachePath(storage.url, image)
  const row = {
    imageUuid: image.imageUuid,
    primaryStorageUuid: storage.uuid,
    hostUuid,
    installPath: path,
    size: image.actualSizeBytes,
  }
  const { imageUuid, primaryStorageUuid } = row
  // Almost always there already: a look spares a commit.
  const known = await findOne(ctx.db, localImageCache, { imageUuid, primaryStorageUuid, hostUuid })
  if (known === undefined) await ctx.db.write((tx) => capacity.reserveCache(tx, capacity.booksOf(ctx), row))
  const source = await ctx.bus.call(imageAddress, { backupStorageUuid: image.backupStorageUuid })
  const agent = await agentOfHost(ctx, hostUuid)
  const call = () =>
    agent.call(calls.cacheImage, {
      source: { ...source, path: image.backupStoragePath },
      cachePath: path,
      sizeBytes: image.actualSizeBytes,
      sha256: image.sha256,
      format: image.format,
    })
  // What is there already is only looked at; a real copy loads the image server.
  const copies = laneOf(ctx, `image-copies:${image.backupStorageUuid}`, imageCopyParallelism)
  const work = { label: calls.cacheImage.name, signal: currentTask()?.signal, run: call }
  const copy = known === undefined ? copies.run(work) : call()
  await copy.catch(async (error: unknown) => {
    await releaseMissing(ctx, agent, row)
    throw error
  })
  // Whoever looked while it was being brought found no file, and gave the space back.
  if (known === undefined) await keepOrRemove(ctx, agent, row)
  return path
}

async function keepOrRemove(
  ctx: PluginContext,
  agent: AgentClient,
  row: Parameters<typeof capacity.reserveCache>[2],
): Promise<void> {
  try {
    await ctx.db.write((tx) => capacity.reserveCache(tx, capacity.booksOf(ctx), row))
  } catch (error) {
    await agent.call(calls.deletePath, { path: row.installPath })
    await releaseMissing(ctx, agent, row)
    throw error
  }
}

/** An image that could not be brought takes no space, unless another attempt has brought it. */
async function releaseMissing(
  ctx: PluginContext,
  agent: AgentClient,
  row: Parameters<typeof capacity.releaseCache>[2] & { readonly installPath: string },
): Promise<void> {
  try {
    if ((await agent.call(calls.statVolume, { path: row.installPath })).exists) return
    await ctx.db.write((tx) => capacity.releaseCache(tx, capacity.booksOf(ctx), row))
  } catch (error) {
    // The host is away; once the image is gone the space is given back in any case.
    ctx.log.warn(
      { ...row, err: describeError(error) },
      'the space of an image that was not cached stays taken',
    )
  }
}

async function reject(
  ctx: PluginContext,
  storage: PrimaryStorage,
  candidates: readonly Host[],
  spec: PlacementSpec,
): Promise<Rejection[]> {
  const hostUuids = candidates.map((h) => h.uuid)
  const disks = await find(ctx.db, localStorageHostRef, {
    primaryStorageUuid: storage.uuid,
    hostUuid: oneOf(hostUuids),
  })
  const byHost = new Map(disks.map((d) => [d.hostUuid, d]))
  const bound =
    spec.withStorageMigration === true ? undefined : await hostsHolding(ctx, storage, spec.volumeUuids ?? [])
  const needed = spec.rootDiskBytes === undefined ? 0 : capacity.realSize(ctx.config, spec.rootDiskBytes)
  const kept = capacity.reservedBytes(ctx.config)
  return candidates.flatMap((h) => {
    const disk = byHost.get(h.uuid)
    if (disk === undefined)
      return [{ hostUuid: h.uuid, reason: `has no disk of the primary storage ${storage.name} yet` }]
    if (bound !== undefined && !bound.has(h.uuid)) {
      return [
        {
          hostUuid: h.uuid,
          reason: `does not hold the VM's volumes, which lie on the local storage ${storage.name} of another host`,
        },
      ]
    }
    const free = Math.max(0, disk.availableCapacity - kept)
    if (free < needed)
      return [
        {
          hostUuid: h.uuid,
          reason: `has ${formatSize(free)} of local space free on ${storage.name}, ${formatSize(needed)} are needed`,
        },
      ]
    return []
  })
}

/** Hosts that hold every one of the volumes that lie on this storage; undefined when there are none. */
async function hostsHolding(
  ctx: PluginContext,
  storage: PrimaryStorage,
  volumeUuids: readonly string[],
): Promise<ReadonlySet<string> | undefined> {
  if (volumeUuids.length === 0) return undefined
  const all = await find(ctx.db, localStorageResourceRef, { resourceUuid: oneOf(volumeUuids) })
  const refs = all.filter((ref) => ref.primaryStorageUuid === storage.uuid)
  const volumes = new Set(refs.map((r) => r.resourceUuid))
  const hosts = new Set(refs.map((r) => r.hostUuid))
  return new Set(
    [...hosts].filter((h) =>
      [...volumes].every((v) => refs.some((r) => r.hostUuid === h && r.resourceUuid === v)),
    ),
  )
}
