import { find, findOne, isNull } from '#db'
import { steadyNow } from '#kernel'
import type { PluginContext } from '#plugin-host'
import type { VolumePlace } from '#plugins/primary-storage/contract/extensions.ts'
import {
  allocateSpace,
  deleteVolumeFile,
  makeVolume,
  releaseSpace,
} from '#plugins/primary-storage/contract/messages.ts'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { volumeDeletionPolicy } from './contract/configs.ts'
import * as messages from './contract/messages.ts'
import { type Volume, volume } from './contract/resources.ts'
import { volumeStatus } from './contract/states.ts'
import { deleteRow, getVolume, insertVolume, patchVolume } from './store.ts'

/** What other plugins may ask of volumes: rows, space, files, each step by itself so that a workflow can undo it. */
export function serveVolumes(ctx: PluginContext): void {
  const { db, bus } = ctx
  ctx.serve(messages.addVolume, (input) => db.write((tx) => insertVolume(tx, input)))

  ctx.serve(messages.claimSpace, async ({ uuid, hostUuid, clusterUuid, primaryStorageUuid }) => {
    const v = await getVolume(db, uuid)
    const { installPath, ...chosen } = await bus.call(allocateSpace, {
      volumeUuid: uuid,
      accountUuid: v.accountUuid,
      kind: v.type === 'Root' ? 'Root' : 'Data',
      sizeBytes: v.size,
      hostUuid,
      clusterUuid,
      primaryStorageUuid,
    })
    await db.write((tx) => patchVolume(tx, uuid, { ...chosen, installPath, status: volumeStatus.creating }))
  })

  ctx.serve(messages.makeFile, async ({ uuid, hostUuid, image }) => {
    const v = await getVolume(db, uuid)
    const made = await bus.call(makeVolume, { place: placeOf(v, hostUuid), image })
    const { installPath, format, virtualSizeBytes: size, actualSizeBytes: actualSize } = made
    await db.write((tx) =>
      patchVolume(tx, uuid, { installPath, format, size, actualSize, status: volumeStatus.ready }),
    )
    return { ...v, installPath, format, size, actualSize, status: volumeStatus.ready }
  })

  ctx.serve(messages.discardFile, ({ uuid }) => discardFile(ctx, uuid))

  ctx.serve(messages.removeVolume, ({ uuid }) => db.write((tx) => deleteRow(tx, uuid)))

  ctx.serve(messages.releaseFromVm, async ({ uuid }) => {
    const released = releaseOf(await getVolume(db, uuid))
    await db.write((tx) => patchVolume(tx, uuid, released))
  })

  ctx.serve(messages.markDeleted, async ({ uuid }) => {
    const v = await findOne(db, volume, { uuid })
    if (v === undefined || v.status === volumeStatus.deleted) return
    if (ctx.config.get(volumeDeletionPolicy) === 'Direct') return removeNow(ctx, uuid)
    const deleted = { ...releaseOf(v), status: volumeStatus.deleted, deletedAt: steadyNow() }
    await db.write((tx) => patchVolume(tx, uuid, deleted))
  })
}

/** What changes in the row of a volume that leaves its VM; nothing when it is on none. */
function releaseOf({ vmInstanceUuid }: Volume): Partial<Volume> {
  if (vmInstanceUuid === undefined) return {}
  const history = { lastVmInstanceUuid: vmInstanceUuid, lastDetachDate: Date.now() }
  return { ...history, vmInstanceUuid: undefined, deviceId: undefined }
}

async function discardFile({ db, bus }: PluginContext, uuid: string): Promise<void> {
  const v = await findOne(db, volume, { uuid })
  if (v === undefined) return
  const { primaryStorageUuid, installPath } = v
  // Space may have been reserved for it without the row knowing yet; there is no file then.
  if (primaryStorageUuid === undefined || installPath === undefined)
    return bus.call(releaseSpace, { volumeUuid: uuid, primaryStorageUuid: undefined })
  await bus.call(deleteVolumeFile, { volumeUuid: uuid, primaryStorageUuid, installPath })
  await bus.call(releaseSpace, { volumeUuid: uuid, primaryStorageUuid })
  const gone = { primaryStorageUuid: undefined, installPath: undefined, format: undefined, actualSize: 0 }
  // One that is on its way out stays deleted, also when the rest of its removal has to wait.
  const status = v.status === volumeStatus.deleted ? volumeStatus.deleted : volumeStatus.notInstantiated
  await db.write((tx) => patchVolume(tx, uuid, { ...gone, status }))
}

async function removeNow(ctx: PluginContext, uuid: string): Promise<void> {
  await discardFile(ctx, uuid)
  await ctx.bus.call(removeTags, { resourceUuid: uuid })
  await ctx.db.write((tx) => deleteRow(tx, uuid))
}

export function placeOf(v: Volume, hostUuid: string): VolumePlace {
  if (v.primaryStorageUuid === undefined) throw new Error(`the volume ${v.uuid} has no place yet`)
  return {
    volumeUuid: v.uuid,
    accountUuid: v.accountUuid,
    kind: v.type === 'Root' ? 'Root' : 'Data',
    sizeBytes: v.size,
    primaryStorageUuid: v.primaryStorageUuid,
    hostUuid,
  }
}

/** Data volumes that belong to no VM and were deleted before `time`. */
export async function deletedBefore(ctx: PluginContext, time: number): Promise<Volume[]> {
  const rows = await find(ctx.db, volume, { status: volumeStatus.deleted, vmInstanceUuid: isNull as never })
  return rows.filter((v) => (v.deletedAt ?? Number.POSITIVE_INFINITY) < time)
}
