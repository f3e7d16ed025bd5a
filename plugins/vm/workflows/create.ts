import type { PluginContext } from '#plugin-host'
import type { Placement } from '#plugins/host/contract/messages.ts'
import { releaseHost } from '#plugins/host/contract/messages.ts'
import { allocateIp, releaseIp } from '#plugins/l3-network/contract/messages.ts'
import type { ImageSource } from '#plugins/primary-storage/contract/extensions.ts'
import { addTags, removeTags } from '#plugins/tag/contract/messages.ts'
import {
  addVolume,
  claimSpace,
  discardFile,
  makeFile,
  type NewVolume,
  removeVolume,
} from '#plugins/volume/contract/messages.ts'
import { defineStep, defineWorkflow, noUndo, type Workflow } from '#workflow'
import { vmState } from '../contract/states.ts'
import type { CreatePlan } from '../plan.ts'
import { bootStep, markRunningStep, placeStep, servicesStep } from '../steps/power.ts'
import { InternalIds, insertNic, insertVm, patchVm, removeNic, removeVm } from '../store.ts'
import { type VmReply, vmReply } from './reply.ts'

/** Makes a VM: its row, a host, addresses, disks; then starts it unless it shall stay off. */
export function createVmWorkflow(ctx: PluginContext): Workflow<CreatePlan, VmReply> {
  const steps = {
    ...createSteps(ctx),
    place: placeStep(ctx),
    services: servicesStep(ctx),
    boot: bootStep(ctx),
    markRunning: markRunningStep(ctx),
  }
  return defineWorkflow('vm.create', Object.values(steps), async (flow, plan) => {
    const { vm, systemTags, userTags } = plan
    await flow.step(steps.insertRow, { vm, systemTags, userTags })
    const vmUuid = vm.uuid
    const placed = await flow.step(steps.place, plan.placement)
    for (const nic of plan.nics) await flow.step(steps.addNic, nic)
    await flow.step(steps.makeVolume, {
      volume: plan.root,
      placed,
      image: plan.image,
      primaryStorageUuid: plan.primaryStorageUuid,
    })
    for (const volume of plan.data)
      await flow.step(steps.makeVolume, { volume, placed, image: undefined, primaryStorageUuid: undefined })
    if (plan.start) {
      await flow.step(steps.services, { vmUuid, hostUuid: placed.hostUuid })
      await flow.step(steps.boot, { vmUuid, hostUuid: placed.hostUuid })
      await flow.step(steps.markRunning, { vmUuid, placed })
    } else {
      await flow.step(steps.leaveOff, { vmUuid, placed })
    }
    return vmReply(ctx, vmUuid)
  })
}

interface MakeVolume {
  readonly volume: NewVolume
  readonly placed: Placement
  readonly image: ImageSource | undefined
  readonly primaryStorageUuid: string | undefined
}

function createSteps(ctx: PluginContext) {
  const ids = new InternalIds()
  const insertRow = defineStep<Pick<CreatePlan, 'vm' | 'systemTags' | 'userTags'>, void>({
    name: 'insert-vm',
    run: async ({ vm, systemTags, userTags }) => {
      await ctx.db.write((tx) => insertVm(tx, ids, vm))
      if (systemTags === undefined && userTags === undefined) return
      const owner = { resourceType: 'VmInstanceVO', resourceUuid: vm.uuid }
      // A repeat would add user tags a second time.
      await ctx.bus.call(removeTags, { resourceUuid: vm.uuid })
      await ctx.bus.call(addTags, { ...owner, systemTags, userTags })
    },
    undo: async ({ vm }) => {
      await ctx.bus.call(removeTags, { resourceUuid: vm.uuid })
      await ctx.db.write((tx) => removeVm(tx, vm.uuid))
      ids.forget()
    },
  })

  const addNic = defineStep<CreatePlan['nics'][number], void>({
    name: 'add-nic',
    run: async ({ nic, staticIp }) => {
      const address = await ctx.bus.call(allocateIp, {
        l3NetworkUuid: nic.l3NetworkUuid,
        vmNicUuid: nic.uuid,
        ip: staticIp,
      })
      await ctx.db.write((tx) => insertNic(tx, nic, address.uuid))
    },
    undo: async ({ nic }) => {
      await ctx.db.write((tx) => removeNic(tx, nic.uuid))
      await ctx.bus.call(releaseIp, { vmNicUuid: nic.uuid })
    },
  })

  const makeVolume = defineStep<MakeVolume, void>({
    name: 'make-volume',
    run: async ({ volume, placed, image, primaryStorageUuid }) => {
      const { uuid } = volume
      const { hostUuid, clusterUuid } = placed
      await ctx.bus.call(addVolume, volume)
      await ctx.bus.call(claimSpace, { uuid, hostUuid, clusterUuid, primaryStorageUuid })
      await ctx.bus.call(makeFile, { uuid, hostUuid, image })
    },
    undo: async ({ volume: { uuid } }) => {
      await ctx.bus.call(discardFile, { uuid })
      await ctx.bus.call(removeVolume, { uuid })
    },
  })

  const leaveOff = defineStep<{ vmUuid: string; placed: Placement }, void>({
    name: 'leave-off',
    run: async ({ vmUuid, placed }) => {
      const { hostUuid, clusterUuid, hypervisorType } = placed
      await ctx.bus.call(releaseHost, { vmUuid, hostUuid })
      await ctx.db.write((tx) =>
        patchVm(tx, vmUuid, { lastHostUuid: hostUuid, clusterUuid, hypervisorType, state: vmState.stopped }),
      )
    },
    undo: noUndo('the steps before remove the VM as a whole'),
  })
  return { insertRow, addNic, makeVolume, leaveOff }
}
