import * as calls from '#agents/kvm-host/contract/vm.ts'
import { get } from '#db'
import { CloudError, newOrderedUuid, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import { allocateIp, releaseIp } from '#plugins/l3-network/contract/messages.ts'
import { l3Network } from '#plugins/l3-network/contract/resources.ts'
import { applyServices, removeServices } from '#plugins/network-service/contract/messages.ts'
import { defineStep, defineWorkflow, type Workflow } from '#workflow'
import { vmKey } from './contract/messages.ts'
import { attachL3NetworkToVm, detachL3NetworkFromVm } from './contract/nic-apis.ts'
import { type VmInstance, type VmNic, vmNic } from './contract/resources.ts'
import { liveStates, vmCan } from './contract/states.ts'
import { requireState } from './handlers.ts'
import { nicSpec, servedNics } from './spec.ts'
import { findVm, getVm, insertNic, type NewNic, nicsOf, patchVm, removeNic } from './store.ts'
import { type VmReply, vmReply } from './workflows/reply.ts'

export function handleNics(ctx: PluginContext): void {
  const attach = ctx.workflow(attachNicWorkflow(ctx))
  const detach = ctx.workflow(detachNicWorkflow(ctx))

  ctx.handle(
    attachL3NetworkToVm,
    async ({ vmInstanceUuid, l3NetworkUuid, staticIp, customMac }, call) => {
      const vm = await getVm(ctx.db, vmInstanceUuid)
      requireState(vm, vmCan.attachNic, 'given a NIC')
      const mac = customMac === undefined ? undefined : unicastMac(customMac)
      const nics = await nicsOf(ctx.db, vm.uuid)
      await requireAttachable(ctx, vm, nics, l3NetworkUuid)
      const used = new Set(nics.map((nic) => nic.deviceId))
      let deviceId = 0
      while (used.has(deviceId)) deviceId += 1
      const { hypervisorType } = vm
      const nic = {
        uuid: newOrderedUuid(),
        vmInstanceUuid,
        l3NetworkUuid,
        deviceId,
        mac,
        driverType: 'virtio',
        hypervisorType,
      }
      return call.run(attach, { nic, staticIp })
    },
    { key: (input) => vmKey(input.vmInstanceUuid) },
  )
  const vmOf = async (vmNicUuid: string) => (await get(ctx.db, vmNic, vmNicUuid)).vmInstanceUuid ?? ''
  ctx.handle(
    detachL3NetworkFromVm,
    async ({ vmNicUuid }, call) => {
      const nic = await get(ctx.db, vmNic, vmNicUuid)
      requireState(await getVm(ctx.db, nic.vmInstanceUuid ?? ''), vmCan.attachNic, 'taken a NIC from')
      return call.run(detach, nic)
    },
    { key: async ({ vmNicUuid }) => vmKey(await vmOf(vmNicUuid)) },
  )
}

async function requireAttachable(
  ctx: PluginContext,
  vm: VmInstance,
  nics: readonly VmNic[],
  l3NetworkUuid: string,
): Promise<void> {
  const { name, state } = await get(ctx.db, l3Network, l3NetworkUuid)
  if (state !== 'Enabled') throw bad('l3NetworkUuid', `the L3 network ${name} is ${state}`)
  if (nics.some((nic) => nic.l3NetworkUuid === l3NetworkUuid))
    throw bad('l3NetworkUuid', `the VM ${vm.name} has a NIC on the L3 network ${name} already`)
}

/** In the form hosts know it. Refuses what is no address of a single interface. */
function unicastMac(text: string): string {
  const mac = text.toLowerCase()
  if (/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac)) return mac
  throw bad('customMac', `'${text}' is no unicast MAC address like fa:16:3e:00:00:01`)
}

function bad(field: string, reason: string): CloudError {
  const details = `field[${field}] of AttachL3NetworkToVm: ${reason}`
  return new CloudError(sysErrors.invalidArgument, details, { opaque: { field } })
}

interface NewNicInput {
  readonly nic: NewNic
  readonly staticIp: string | undefined
}

function attachNicWorkflow(ctx: PluginContext): Workflow<NewNicInput, VmReply> {
  const add = defineStep<NewNicInput, void>({
    name: 'add-nic',
    run: async ({ nic, staticIp }) => {
      const address = await ctx.bus.call(allocateIp, {
        l3NetworkUuid: nic.l3NetworkUuid,
        vmNicUuid: nic.uuid,
        ip: staticIp,
      })
      await ctx.db.write((tx) => insertNic(tx, nic, address.uuid))
      const vm = await getVm(ctx.db, nic.vmInstanceUuid)
      if (vm.defaultL3NetworkUuid !== undefined) return
      await ctx.db.write((tx) => patchVm(tx, vm.uuid, { defaultL3NetworkUuid: nic.l3NetworkUuid }))
    },
    undo: async ({ nic }) => {
      await ctx.db.write((tx) => removeNic(tx, nic.uuid))
      await ctx.bus.call(releaseIp, { vmNicUuid: nic.uuid })
      await forgetDefault(ctx, nic.vmInstanceUuid)
    },
  })
  const plug = defineStep<NewNicInput, void>({
    name: 'plug-nic',
    run: async ({ nic }) => {
      const row = await get(ctx.db, vmNic, nic.uuid)
      await plugNic(ctx, row)
    },
    undo: async ({ nic }) => {
      const row = (await nicsOf(ctx.db, nic.vmInstanceUuid)).find((n) => n.uuid === nic.uuid)
      if (row !== undefined) await unplugNic(ctx, row)
    },
  })
  return defineWorkflow('vm.attachNic', [add, plug], async (flow, input) => {
    await flow.step(add, input)
    await flow.step(plug, input)
    return vmReply(ctx, input.nic.vmInstanceUuid)
  })
}

function detachNicWorkflow(ctx: PluginContext): Workflow<VmNic, VmReply> {
  const unplug = defineStep<VmNic, void>({
    name: 'unplug-nic',
    run: (nic) => unplugNic(ctx, nic),
    // Not when it is gone: then only the last step's answer was lost.
    undo: async (nic) => {
      if ((await nicsOf(ctx.db, nic.vmInstanceUuid ?? '')).some(({ uuid }) => uuid === nic.uuid))
        await plugNic(ctx, nic)
    },
  })
  const drop = defineStep<VmNic, void>({
    name: 'remove-nic',
    run: async (nic) => {
      await ctx.db.write((tx) => removeNic(tx, nic.uuid))
      await ctx.bus.call(releaseIp, { vmNicUuid: nic.uuid })
      await forgetDefault(ctx, nic.vmInstanceUuid ?? '')
    },
    // A NIC that is gone cannot come back, and nobody can ask for its address any more: it is finished here.
    undo: async (nic) => {
      if ((await nicsOf(ctx.db, nic.vmInstanceUuid ?? '')).some(({ uuid }) => uuid === nic.uuid)) return
      await ctx.bus.call(releaseIp, { vmNicUuid: nic.uuid })
      await forgetDefault(ctx, nic.vmInstanceUuid ?? '')
    },
  })
  return defineWorkflow(
    'vm.detachNic',
    [unplug, drop],
    async (flow, nic) => {
      await flow.step(unplug, nic)
      await flow.step(drop, nic)
      return vmReply(ctx, nic.vmInstanceUuid ?? '')
    },
    { afterCrash: 'resume' },
  )
}

async function plugNic(ctx: PluginContext, nic: VmNic): Promise<void> {
  const vm = await getVm(ctx.db, nic.vmInstanceUuid ?? '')
  if (vm.hostUuid === undefined || !liveStates.includes(vm.state)) return
  const nics = (await servedNics(ctx, vm.uuid)).filter((n) => n.nicUuid === nic.uuid)
  await ctx.bus.call(applyServices, { hostUuid: vm.hostUuid, nics })
  await (await agentOfHost(ctx, vm.hostUuid)).call(calls.attachNic, {
    vmUuid: vm.uuid,
    nic: await nicSpec(ctx, vm, nic),
  })
}

async function unplugNic(ctx: PluginContext, nic: VmNic): Promise<void> {
  const vm = await findVm(ctx.db, nic.vmInstanceUuid ?? '')
  if (vm?.hostUuid === undefined || !liveStates.includes(vm.state)) return
  await (await agentOfHost(ctx, vm.hostUuid)).call(calls.detachNic, { vmUuid: vm.uuid, mac: nic.mac })
  const nics = (await servedNics(ctx, vm.uuid)).filter((n) => n.nicUuid === nic.uuid)
  await ctx.bus.call(removeServices, { hostUuid: vm.hostUuid, nics })
}

/** A VM whose default network is gone takes the first that is left. */
async function forgetDefault(ctx: PluginContext, vmUuid: string): Promise<void> {
  const vm = await findVm(ctx.db, vmUuid)
  if (vm === undefined) return
  const networks = (await nicsOf(ctx.db, vmUuid)).map((nic) => nic.l3NetworkUuid)
  if (vm.defaultL3NetworkUuid !== undefined && networks.includes(vm.defaultL3NetworkUuid)) return
  await ctx.db.write((tx) => patchVm(tx, vmUuid, { defaultL3NetworkUuid: networks[0] }))
}
