import * as calls from '#agents/kvm-host/contract/vm.ts'
import type { PluginContext } from '#plugin-host'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import type { PlacementSpec } from '#plugins/host/contract/extensions.ts'
import { allocateHost, type Placement, releaseHost } from '#plugins/host/contract/messages.ts'
import { applyServices, removeServices } from '#plugins/network-service/contract/messages.ts'
import { defineStep } from '#workflow'
import { vmState } from '../contract/states.ts'
import { servedNics, vmSpec } from '../spec.ts'
import { findVm, patchVm } from '../store.ts'

export interface OnHost {
  readonly vmUuid: string
  readonly hostUuid: string
}

/** Chooses a host and reserves CPU and memory there. */
export const placeStep = (ctx: PluginContext) =>
  defineStep<PlacementSpec, Placement>({
    name: 'place',
    run: (spec) => ctx.bus.call(allocateHost, spec),
    undo: (spec, placed) => ctx.bus.call(releaseHost, { vmUuid: spec.vmUuid, hostUuid: placed?.hostUuid }),
  })

/** Makes DHCP, user data and the like work for the VM on the host. */
export const servicesStep = (ctx: PluginContext) =>
  defineStep<OnHost, void>({
    name: 'apply-services',
    run: async ({ vmUuid, hostUuid }) => {
      // From here on the host counts the VM as its own, so that a restore of its services does not leave it out.
      await ctx.db.write((tx) => patchVm(tx, vmUuid, { hostUuid }))
      const nics = await servedNics(ctx, vmUuid)
      if (nics.length > 0) await ctx.bus.call(applyServices, { hostUuid, nics })
    },
    undo: async ({ vmUuid, hostUuid }) => {
      // Tried again when the host is back, which has been given the NICs of all VMs it has by then.
      if ((await findVm(ctx.db, vmUuid)) === undefined) return
      // A host that cannot be asked keeps the VM: it may run there.
      if ((await (await agentOfHost(ctx, hostUuid)).call(calls.vmInfo, { vmUuid })).state !== 'Stopped')
        return
      const nics = await servedNics(ctx, vmUuid)
      if (nics.length > 0) await ctx.bus.call(removeServices, { hostUuid, nics })
      await ctx.db.write(async (tx) => {
        // Tried again much later, the VM may have started elsewhere meanwhile.
        if ((await findVm(tx, vmUuid))?.hostUuid === hostUuid)
          await patchVm(tx, vmUuid, { hostUuid: undefined })
      })
    },
  })

/** Starts the domain. */
export const bootStep = (ctx: PluginContext) =>
  defineStep<OnHost, void>({
    name: 'boot',
    run: async ({ vmUuid, hostUuid }) => {
      const agent = await agentOfHost(ctx, hostUuid)
      await agent.call(calls.startVm, { vm: await vmSpec(ctx, vmUuid, hostUuid) })
    },
    undo: async ({ vmUuid, hostUuid }) => {
      await (await agentOfHost(ctx, hostUuid)).call(calls.destroyVm, { vmUuid })
    },
  })

/** Records that the VM runs where it was placed. */
export const markRunningStep = (ctx: PluginContext) =>
  defineStep<{ vmUuid: string; placed: Placement }, void>({
    name: 'mark-running',
    run: async ({ vmUuid, placed }) => {
      const { hostUuid, clusterUuid, zoneUuid, hypervisorType } = placed
      const where = { hostUuid, lastHostUuid: hostUuid, clusterUuid, zoneUuid, hypervisorType }
      await ctx.db.write((tx) => patchVm(tx, vmUuid, { ...where, state: vmState.running }))
    },
    // Still on its host: whether it is off there, only the undos of the steps before find out.
    undo: async ({ vmUuid }) => {
      await ctx.db.write((tx) => patchVm(tx, vmUuid, { state: vmState.starting }))
    },
  })
