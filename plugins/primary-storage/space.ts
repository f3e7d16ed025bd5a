import { find, oneOf } from '#db'
import { CloudError, describeError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { hostFilter, type PlacementSpec, type Rejection } from '#plugins/host/contract/extensions.ts'
import type { Host } from '#plugins/host/contract/resources.ts'
import { volume } from '#plugins/volume/contract/resources.ts'
import { primaryStorageErrors } from './contract/errors.ts'
import { spaceLedger, type VolumePlace } from './contract/extensions.ts'
import * as messages from './contract/messages.ts'
import { type PrimaryStorage, primaryStorage } from './contract/resources.ts'
import { workOn } from './storage-work.ts'
import { driverOf, getStorage, isAttached, ledger, storagesOfCluster } from './store.ts'

export function serveSpace(ctx: PluginContext): void {
  ctx.serve(messages.allocateSpace, (wanted) => allocate(ctx, wanted))
  ctx.serve(messages.releaseSpace, async ({ volumeUuid, primaryStorageUuid }) => {
    if (primaryStorageUuid !== undefined) return release(ctx, primaryStorageUuid, volumeUuid)
    // Which storage it is, was not written down any more by whoever reserved it.
    for (const storage of await find(ctx.db, primaryStorage, {}))
      if ((await driverOf(ctx, storage).hostsOf(volumeUuid)).length > 0)
        await release(ctx, storage.uuid, volumeUuid)
  })
  ctx.serve(messages.needsCopy, async ({ primaryStorageUuid }) => {
    return driverOf(ctx, await getStorage(ctx.db, primaryStorageUuid)).hostBound
  })
  ctx.serve(messages.makeVolume, async ({ place, image }) => {
    const storage = await getStorage(ctx.db, place.primaryStorageUuid)
    const driver = driverOf(ctx, storage)
    return workOn(ctx, storage, { label: 'make a volume', hostUuid: place.hostUuid }, () =>
      image === undefined
        ? driver.createEmpty(storage, place)
        : driver.createFromImage(storage, place, image),
    )
  })
  ctx.serve(messages.deleteVolumeFile, async ({ volumeUuid, primaryStorageUuid, installPath }) => {
    const storage = await getStorage(ctx.db, primaryStorageUuid)
    const driver = driverOf(ctx, storage)
    for (const hostUuid of await driver.hostsOf(volumeUuid))
      await workOn(ctx, storage, { label: 'delete a volume', hostUuid }, () =>
        driver.delete(storage, { volumeUuid, installPath, hostUuid }),
      )
  })
  ctx.serve(messages.provideIso, async ({ hostUuid, clusterUuid, image }) => {
    const storage = (await storagesOfCluster(ctx.db, clusterUuid)).find(usable)
    if (storage === undefined) throw noStorage(clusterUuid)
    const bring = () => driverOf(ctx, storage).provideIso(storage, hostUuid, image)
    return { path: await workOn(ctx, storage, { label: 'bring an ISO', hostUuid }, bring) }
  })
  ctx.provide(spaceLedger, 'primary storage', ledger)
  ctx.hook(hostFilter, {
    name: 'primary storage',
    filter: (candidates, spec) => filterHosts(ctx, candidates, spec),
  })
}

type Wanted = Omit<VolumePlace, 'primaryStorageUuid'> & {
  clusterUuid: string
  primaryStorageUuid?: string | undefined
}

async function allocate(
  ctx: PluginContext,
  wanted: Wanted,
): Promise<{ primaryStorageUuid: string; installPath: string }> {
  const storages = (await storagesOfCluster(ctx.db, wanted.clusterUuid))
    .filter((s) => wanted.primaryStorageUuid === undefined || s.uuid === wanted.primaryStorageUuid)
    .sort((a, b) => b.availableCapacity - a.availableCapacity)
  const reasons: string[] = []
  for (const storage of storages) {
    const place = { ...wanted, primaryStorageUuid: storage.uuid }
    const driver = driverOf(ctx, storage)
    if ((await driver.hostsOf(wanted.volumeUuid)).length > 0)
      return { primaryStorageUuid: storage.uuid, installPath: driver.installPath(storage, place) }
    if (!usable(storage)) {
      reasons.push(`${storage.name} is ${storage.state} and ${storage.status}`)
      continue
    }
    try {
      await ctx.db.write((tx) => driver.reserve(tx, place))
      return { primaryStorageUuid: storage.uuid, installPath: driver.installPath(storage, place) }
    } catch (error) {
      if (!(error instanceof CloudError)) throw error
      reasons.push(`${storage.name}: ${describeError(error)}`)
    }
  }
  if (storages.length === 0) throw noStorage(wanted.clusterUuid)
  throw new CloudError(
    primaryStorageErrors.allocate,
    `no primary storage can take ${wanted.sizeBytes} bytes: ${reasons.join('; ')}`,
  )
}

function noStorage(clusterUuid: string): CloudError {
  const details = `no primary storage is attached to the cluster ${clusterUuid}; attach one with AttachPrimaryStorageToCluster`
  return new CloudError(primaryStorageErrors.allocate, details)
}

export async function release(
  ctx: PluginContext,
  primaryStorageUuid: string,
  volumeUuid: string,
  hostUuid?: string,
): Promise<void> {
  const driver = driverOf(ctx, await getStorage(ctx.db, primaryStorageUuid))
  await ctx.db.write((tx) => driver.release(tx, volumeUuid, hostUuid))
}

function usable(storage: PrimaryStorage): boolean {
  return storage.state === 'Enabled' && storage.status === 'Connected'
}

/** A host must reach the storage of every volume the VM has, or some storage with room for the one it will get. */
async function filterHosts(
  ctx: PluginContext,
  candidates: readonly Host[],
  spec: PlacementSpec,
): Promise<Rejection[]> {
  const volumes =
    spec.volumeUuids === undefined ? [] : await find(ctx.db, volume, { uuid: oneOf([...spec.volumeUuids]) })
  const used = [...new Set(volumes.flatMap((v) => v.primaryStorageUuid ?? []))]
  const rejections = new Map<string, string>()
  for (const uuid of used) {
    for (const r of await rejectFor(ctx, await getStorage(ctx.db, uuid), candidates, spec))
      rejections.set(r.hostUuid, r.reason)
  }
  if (spec.rootDiskBytes !== undefined)
    for (const r of await rejectWithoutRoom(ctx, candidates, spec)) rejections.set(r.hostUuid, r.reason)
  return [...rejections].map(([hostUuid, reason]) => ({ hostUuid, reason }))
}

async function rejectFor(
  ctx: PluginContext,
  storage: PrimaryStorage,
  candidates: readonly Host[],
  spec: PlacementSpec,
): Promise<Rejection[]> {
  const out: Rejection[] = []
  const attached: Host[] = []
  for (const candidate of candidates) {
    if (await isAttached(ctx.db, storage.uuid, candidate.clusterUuid)) attached.push(candidate)
    else
      out.push({ hostUuid: candidate.uuid, reason: `is not attached to the primary storage ${storage.name}` })
  }
  return [...out, ...(await driverOf(ctx, storage).reject(storage, attached, spec))]
}

async function rejectWithoutRoom(
  ctx: PluginContext,
  candidates: readonly Host[],
  spec: PlacementSpec,
): Promise<Rejection[]> {
  const out: Rejection[] = []
  for (const clusterUuid of new Set(candidates.map((h) => h.clusterUuid))) {
    const members = candidates.filter((h) => h.clusterUuid === clusterUuid)
    const storages = (await storagesOfCluster(ctx.db, clusterUuid)).filter(
      (s) => spec.primaryStorageUuid === undefined || spec.primaryStorageUuid === s.uuid,
    )
    const verdicts: Rejection[][] = []
    for (const storage of storages) verdicts.push(await verdict(ctx, storage, members, spec))
    for (const h of members) {
      const reasons = verdicts.map((v) => v.find((r) => r.hostUuid === h.uuid)?.reason)
      if (reasons.includes(undefined)) continue
      out.push({
        hostUuid: h.uuid,
        reason: reasons.join(', ') || 'has no primary storage attached to its cluster',
      })
    }
  }
  return out
}

async function verdict(
  ctx: PluginContext,
  storage: PrimaryStorage,
  members: readonly Host[],
  spec: PlacementSpec,
): Promise<Rejection[]> {
  if (usable(storage)) return driverOf(ctx, storage).reject(storage, members, spec)
  const reason = `its primary storage ${storage.name} is ${storage.state} and ${storage.status}`
  return members.map((h) => ({ hostUuid: h.uuid, reason }))
}
