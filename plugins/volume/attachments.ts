import { defineMessage } from '#contract'
import { find, get } from '#db'
import { CloudError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { findHosts } from '#plugins/host/contract/messages.ts'
import { maxDataVolumes } from '#plugins/vm/contract/configs.ts'
import { vmErrors } from '#plugins/vm/contract/errors.ts'
import { vmKey } from '#plugins/vm/contract/messages.ts'
import { type VmInstance, vmInstance } from '#plugins/vm/contract/resources.ts'
import { vmCan } from '#plugins/vm/contract/states.ts'
import {
  attachDataVolumeToVm,
  detachDataVolumeFromVm,
  getDataVolumeAttachableVm,
} from './contract/attachment-apis.ts'
import { volumeErrors } from './contract/errors.ts'
import type { VolumeTarget } from './contract/messages.ts'
import { type Volume, volume } from './contract/resources.ts'
import { volumeStatus } from './contract/states.ts'
import { nextDeviceId, requireData, volumeKey } from './handlers.ts'
import { getVolume } from './store.ts'
import { attachWorkflow, detachWorkflow } from './workflows.ts'

interface Pair {
  readonly volumeUuid: string
  readonly vmUuid: string
}

// Nobody else attaches or detaches the volume meanwhile: its queue is held.
const how = { idempotent: true }
const attachInVm = defineMessage<Pair, void>('volume.attach', ({ vmUuid }) => vmKey(vmUuid), how)
const detachInVm = defineMessage<Pair, void>('volume.detach', ({ vmUuid }) => vmKey(vmUuid), how)

export function handleAttachments(ctx: PluginContext): void {
  const { db } = ctx
  const attach = ctx.workflow(attachWorkflow(ctx))
  const detach = ctx.workflow(detachWorkflow(ctx))
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(volume, uuid) })

  ctx.handle(
    attachDataVolumeToVm,
    async ({ volumeUuid, vmInstanceUuid: vmUuid }) => {
      const v = await getVolume(db, volumeUuid)
      requireData(v)
      requireUnattached(v)
      await ctx.bus.call(attachInVm, { volumeUuid, vmUuid })
      return view(volumeUuid)
    },
    // The volume's queue first, then the VM's: everywhere in this order, so that neither waits for the other.
    { key: (input) => volumeKey(input.volumeUuid) },
  )
  ctx.handle(
    detachDataVolumeFromVm,
    async ({ uuid, vmUuid: named }) => {
      const v = await getVolume(db, uuid)
      requireData(v)
      const vmUuid = v.vmInstanceUuid
      if (vmUuid === undefined)
        throw new CloudError(
          volumeErrors.wrongState,
          `the volume ${v.name}[uuid:${uuid}] is attached to no VM`,
        )
      if (named !== undefined && named !== vmUuid) throw await otherVm(ctx, v, vmUuid)
      await ctx.bus.call(detachInVm, { volumeUuid: uuid, vmUuid })
      return view(uuid)
    },
    { key: (input) => volumeKey(input.uuid) },
  )
  ctx.serve(attachInVm, attachOne)
  ctx.serve(detachInVm, detachOne)
  ctx.handle(getDataVolumeAttachableVm, async ({ volumeUuid }) => {
    const v = await getVolume(db, volumeUuid)
    if (v.type !== 'Data' || v.vmInstanceUuid !== undefined || v.status === volumeStatus.deleted)
      return { inventories: [] }
    const vms = (await find(db, vmInstance, {})).filter(vmCan.attachVolume)
    const inventories = []
    for (const vm of vms)
      if ((await reasonAgainst(ctx, v, vm)) === undefined)
        inventories.push(await ctx.query.view(vmInstance, vm.uuid))
    return { inventories }
  })

  async function attachOne({ volumeUuid, vmUuid }: Pair): Promise<void> {
    const v = await getVolume(db, volumeUuid)
    // By a node that died before it could say so.
    if (v.vmInstanceUuid === vmUuid) return
    const vm = await get(db, vmInstance, vmUuid)
    await requireAttachable(ctx, v, vm)
    const target = v.status === volumeStatus.notInstantiated ? targetOn(vm, volumeUuid) : undefined
    const deviceId = await nextDeviceId(ctx, vmUuid)
    const { lastAttachDate } = v
    await ctx.workflows.run(attach, { volumeUuid, vmUuid, deviceId, lastAttachDate, target })
  }

  async function detachOne({ volumeUuid, vmUuid }: Pair): Promise<void> {
    const v = await getVolume(db, volumeUuid)
    // The VM was removed while this waited for it.
    if (v.vmInstanceUuid !== vmUuid) return
    const vm = await get(db, vmInstance, vmUuid)
    if (!vmCan.detachVolume(vm)) throw wrongState(vm, 'have a volume detached', vmCan.detachVolume.states)
    await ctx.workflows.run(detach, { volume: v, vmUuid })
  }
}

async function otherVm(ctx: PluginContext, v: Volume, vmUuid: string): Promise<CloudError> {
  const { name } = await get(ctx.db, vmInstance, vmUuid)
  const details = `field[vmUuid]: the volume ${v.name}[uuid:${v.uuid}] is attached to the VM ${name}[uuid:${vmUuid}]`
  return new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'vmUuid' } })
}

function requireUnattached({ name, uuid, vmInstanceUuid }: Volume): void {
  if (vmInstanceUuid === undefined) return
  const details = `the volume ${name}[uuid:${uuid}] is attached to the VM ${vmInstanceUuid} already`
  throw new CloudError(volumeErrors.inUse, details)
}

async function requireAttachable(ctx: PluginContext, v: Volume, vm: VmInstance): Promise<void> {
  requireUnattached(v)
  const name = `the volume ${v.name}[uuid:${v.uuid}]`
  if (v.status === volumeStatus.deleted)
    throw new CloudError(volumeErrors.wrongState, `${name} is Deleted; recover it first`)
  if (v.state !== 'Enabled')
    throw new CloudError(volumeErrors.wrongState, `${name} is ${v.state}; enable it first`)
  if (!vmCan.attachVolume(vm)) throw wrongState(vm, 'take a volume', vmCan.attachVolume.states)
  const count = (await find(ctx.db, volume, { vmInstanceUuid: vm.uuid, type: 'Data' })).length
  const limit = ctx.config.get(maxDataVolumes)
  if (count >= limit)
    throw new CloudError(
      volumeErrors.wrongState,
      `the VM ${vm.name} has ${count} data volumes, the most it may have`,
    )
  const reason = await reasonAgainst(ctx, v, vm)
  if (reason !== undefined)
    throw new CloudError(
      volumeErrors.wrongState,
      `${name} cannot be attached to the VM ${vm.name}: its host ${reason}`,
    )
}

function wrongState(vm: VmInstance, what: string, states: readonly string[]): CloudError {
  return new CloudError(
    vmErrors.wrongState,
    `the VM ${vm.name}[uuid:${vm.uuid}] is ${vm.state}; it can ${what} only when ${states.join(' or ')}`,
  )
}

/** Why the VM's host cannot use the volume, or undefined when it can. */
async function reasonAgainst(ctx: PluginContext, v: Volume, vm: VmInstance): Promise<string | undefined> {
  const hostUuid = vm.hostUuid ?? vm.lastHostUuid
  if (v.primaryStorageUuid === undefined || hostUuid === undefined) return undefined
  const spec = {
    vmUuid: vm.uuid,
    cpuNum: 0,
    memorySize: 0,
    hostUuid,
    l3NetworkUuids: [],
    volumeUuids: [v.uuid],
  }
  return (await ctx.bus.call(findHosts, spec)).rejections[hostUuid]
}

function targetOn(vm: VmInstance, uuid: string): VolumeTarget {
  const hostUuid = vm.hostUuid ?? vm.lastHostUuid
  if (hostUuid === undefined || vm.clusterUuid === undefined) {
    throw new CloudError(
      vmErrors.wrongState,
      `the VM ${vm.name} was never on a host; start it first, so that the volume can be made where it runs`,
    )
  }
  return { uuid, hostUuid, clusterUuid: vm.clusterUuid }
}
