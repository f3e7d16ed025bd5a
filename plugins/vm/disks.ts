import { attachVolume, detachVolume } from '#agents/kvm-host/contract/vm.ts'
import { get } from '#db'
import type { PluginContext } from '#plugin-host'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import { volume } from '#plugins/volume/contract/resources.ts'
import { plugDisk, unplugDisk } from './contract/messages.ts'
import { liveStates } from './contract/states.ts'
import { diskSpec } from './spec.ts'
import { findVm, getVm } from './store.ts'

/** What other plugins may ask of VMs. */
export function serveVms(ctx: PluginContext): void {
  ctx.serve(plugDisk, async ({ vmUuid, volumeUuid, deviceId }) => {
    const vm = await getVm(ctx.db, vmUuid)
    if (vm.hostUuid === undefined || !liveStates.includes(vm.state)) return
    const disk = diskSpec(ctx, vm, { ...(await get(ctx.db, volume, volumeUuid)), deviceId })
    await (await agentOfHost(ctx, vm.hostUuid)).call(attachVolume, { vmUuid, disk })
  })
  ctx.serve(unplugDisk, async ({ vmUuid, installPath }) => {
    const vm = await findVm(ctx.db, vmUuid)
    if (vm?.hostUuid === undefined || !liveStates.includes(vm.state)) return
    await (await agentOfHost(ctx, vm.hostUuid)).call(detachVolume, { vmUuid, installPath })
  })
}
