import { find, findOne, get } from '#db'
import { CloudError, describeError, newOrderedUuid, steadyNow, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { host } from '#plugins/host/contract/resources.ts'
import { diskOffering } from '#plugins/offering/contract/resources.ts'
import { primaryStorage } from '#plugins/primary-storage/contract/resources.ts'
import { matchTag } from '#plugins/tag/contract/extensions.ts'
import { createWithTags } from '#plugins/tag/contract/with-tags.ts'
import * as apis from './contract/apis.ts'
import { volumeDeletionPolicy, volumeExpungeInterval, volumeExpungePeriod } from './contract/configs.ts'
import * as deletion from './contract/deletion-apis.ts'
import { volumeErrors } from './contract/errors.ts'
import { markDeleted, type VolumeTarget } from './contract/messages.ts'
import { type Volume, volume } from './contract/resources.ts'
import { volumeStatus } from './contract/states.ts'
import { deletedBefore } from './files.ts'
import { getVolume, patchVolume } from './store.ts'
import { createWorkflow, expungeWorkflow } from './workflows.ts'

/** The queue all work on one volume runs in. */
export const volumeKey = (uuid: string): string => `volume:${uuid}`
const key = (input: { uuid: string }) => volumeKey(input.uuid)
export const localHostTag = 'localStorage::hostUuid::{hostUuid}'

export function handleVolumes(ctx: PluginContext): void {
  const { db } = ctx
  const create = ctx.workflow(createWorkflow(ctx))
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(volume, uuid) })

  ctx.handle(apis.createDataVolume, async (input, call) => {
    const uuid = input.resourceUuid ?? newOrderedUuid()
    const size = await sizeOf(ctx, input)
    const target =
      input.primaryStorageUuid === undefined
        ? undefined
        : await targetOf(ctx, uuid, input.primaryStorageUuid, input.systemTags ?? [])
    const { name, description, diskOfferingUuid } = input
    const row = {
      uuid,
      name,
      description,
      diskOfferingUuid,
      type: 'Data' as const,
      size,
      accountUuid: call.accountUuid,
    }
    const tagged = { type: 'VolumeVO', uuid }
    await createWithTags(ctx, tagged, input, () => ctx.workflows.run(create, { volume: row, target }))
    return view(uuid)
  })
  ctx.handle(
    apis.updateVolume,
    async ({ uuid, name, description }) => {
      const given = Object.entries({ name, description }).filter(([, value]) => value !== undefined)
      await db.write((tx) => patchVolume(tx, uuid, Object.fromEntries(given)))
      return view(uuid)
    },
    { key },
  )
  ctx.handle(
    apis.changeVolumeState,
    async ({ uuid, stateEvent }) => {
      await db.write((tx) =>
        patchVolume(tx, uuid, { state: stateEvent === 'enable' ? 'Enabled' : 'Disabled' }),
      )
      return view(uuid)
    },
    { key },
  )
  ctx.handle(apis.getVolumeFormat, async () => ({
    formats: [
      { format: 'qcow2', masterHypervisorType: 'KVM', supportingHypervisorTypes: ['KVM', 'Simulator'] },
    ],
  }))
}

export function handleVolumeDeletion(ctx: PluginContext): void {
  const { db } = ctx
  const expunge = ctx.workflow(expungeWorkflow(ctx))
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(volume, uuid) })

  ctx.handle(
    deletion.deleteDataVolume,
    async ({ uuid }, call) => {
      const v = await getVolume(db, uuid)
      requireData(v)
      if (v.vmInstanceUuid !== undefined) {
        const details = `the volume ${v.name}[uuid:${uuid}] is attached to the VM ${v.vmInstanceUuid}; detach it first`
        throw new CloudError(volumeErrors.inUse, details)
      }
      if (ctx.config.get(volumeDeletionPolicy) === 'Direct') return call.run(expunge, { uuid })
      await ctx.bus.call(markDeleted, { uuid })
      return {}
    },
    { key },
  )
  ctx.handle(
    deletion.recoverDataVolume,
    async ({ uuid }) => {
      const v = await requireDeleted(ctx, uuid)
      const status = v.installPath === undefined ? volumeStatus.notInstantiated : volumeStatus.ready
      await db.write((tx) => patchVolume(tx, uuid, { status, deletedAt: undefined }))
      return view(uuid)
    },
    { key },
  )
  ctx.handle(
    deletion.expungeDataVolume,
    async ({ uuid }, call) => {
      await requireDeleted(ctx, uuid)
      return call.run(expunge, { uuid })
    },
    { key },
  )
  ctx.every(
    'expunge data volumes',
    () => ctx.config.get(volumeExpungeInterval),
    async () => {
      if (ctx.config.get(volumeDeletionPolicy) !== 'Delay') return
      for (const { uuid } of await deletedBefore(
        ctx,
        steadyNow() - ctx.config.get(volumeExpungePeriod) * 1000,
      )) {
        if (ctx.cluster.owns(key({ uuid })))
          await ctx.bus.enter(key({ uuid }), 'expunge', () =>
            expungeQuietly(ctx, uuid, () => ctx.workflows.run(expunge, { uuid })),
          )
      }
    },
    'each node',
  )
}

async function expungeQuietly(ctx: PluginContext, uuid: string, work: () => Promise<unknown>): Promise<void> {
  const v = await findOne(ctx.db, volume, { uuid })
  if (v?.status !== volumeStatus.deleted) return
  try {
    await work()
  } catch (error) {
    ctx.log.warn(
      { volumeUuid: uuid, err: describeError(error) },
      'a deleted volume could not be expunged; it is tried again',
    )
  }
}

async function requireDeleted(ctx: PluginContext, uuid: string): Promise<Volume> {
  const v = await getVolume(ctx.db, uuid)
  if (v.status === volumeStatus.deleted) return v
  const details = `the volume ${v.name}[uuid:${uuid}] is ${v.status}, not Deleted; delete it first`
  throw new CloudError(volumeErrors.wrongState, details)
}

export function requireData(v: Volume): void {
  if (v.type === 'Data') return
  const details = `the volume ${v.name}[uuid:${v.uuid}] is the root volume of the VM ${v.vmInstanceUuid}; only data volumes can be handled this way`
  throw new CloudError(sysErrors.invalidArgument, details)
}

async function sizeOf(
  ctx: PluginContext,
  input: { diskSize?: number | undefined; diskOfferingUuid?: string | undefined },
): Promise<number> {
  if (input.diskOfferingUuid !== undefined) {
    const { name, state, diskSize } = await get(ctx.db, diskOffering, input.diskOfferingUuid)
    if (state !== 'Enabled') throw bad('diskOfferingUuid', `the disk offering ${name} is ${state}`)
    return diskSize
  }
  if (input.diskSize === undefined) throw bad('diskSize', 'give diskOfferingUuid, or diskSize in bytes')
  if (input.diskSize <= 0) throw bad('diskSize', `a disk cannot have ${input.diskSize} bytes`)
  return input.diskSize
}

function bad(field: string, reason: string): CloudError {
  const details = `field[${field}] of CreateDataVolume: ${reason}`
  return new CloudError(sysErrors.invalidArgument, details, { opaque: { field } })
}

/** The host where a volume is made at once: the one named by tag, else any connected host of an attached cluster. */
async function targetOf(
  ctx: PluginContext,
  uuid: string,
  primaryStorageUuid: string,
  tags: readonly string[],
): Promise<VolumeTarget> {
  const named = tags.flatMap((tag) => matchTag(localHostTag, tag)?.hostUuid ?? [])[0]
  if (named !== undefined) {
    const chosen = await findOne(ctx.db, host, { uuid: named })
    if (chosen === undefined) throw bad('systemTags', `there is no host with the uuid ${named}`)
    return { uuid, hostUuid: named, clusterUuid: chosen.clusterUuid, primaryStorageUuid }
  }
  const storage = await ctx.query.view(primaryStorage, primaryStorageUuid)
  for (const clusterUuid of storage.attachedClusterUuids as string[]) {
    const found = await findOne(ctx.db, host, { clusterUuid, status: 'Connected', state: 'Enabled' })
    if (found !== undefined) return { uuid, hostUuid: found.uuid, clusterUuid, primaryStorageUuid }
  }
  const details = `no connected host can reach the primary storage ${storage.name}; attach it to a cluster with hosts`
  throw new CloudError(sysErrors.operationFailed, details)
}

/** Free device numbers of a VM's data disks start at 1; the root disk is 0. */
export async function nextDeviceId(ctx: PluginContext, vmInstanceUuid: string): Promise<number> {
  const used = new Set((await find(ctx.db, volume, { vmInstanceUuid })).map((v) => v.deviceId))
  for (let id = 1; ; id += 1) if (!used.has(id)) return id
}
