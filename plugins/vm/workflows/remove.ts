import { describeError, steadyNow } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { releaseHost } from '#plugins/host/contract/messages.ts'
import { releaseIp } from '#plugins/l3-network/contract/messages.ts'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { discardFile, markDeleted, releaseFromVm, removeVolume } from '#plugins/volume/contract/messages.ts'
import { defineStep, defineWorkflow, noUndo, type Workflow } from '#workflow'
import { deleteDataVolumes } from '../contract/configs.ts'
import { vmState } from '../contract/states.ts'
import type { OnHost } from '../steps/power.ts'
import { settleVm } from '../steps/settle.ts'
import { nicsOf, patchVm, removeNic, removeVm, volumesOf } from '../store.ts'
import { leaveStep, powerOffStep } from './power.ts'

const forward = noUndo('a removal goes forward')

/** Cuts the power of a VM and marks it Destroyed; addresses and disks stay until it is expunged. */
export function destroyVmWorkflow(
  ctx: PluginContext,
): Workflow<{ vmUuid: string; hostUuid: string | undefined }, Record<string, never>> {
  const begin = defineStep<{ vmUuid: string }, void>({
    name: 'mark-destroying',
    run: async ({ vmUuid }) => {
      await ctx.db.write((tx) => patchVm(tx, vmUuid, { state: vmState.destroying }))
    },
    undo: async ({ vmUuid }, _output, { log }) => {
      try {
        await settleVm(ctx, vmUuid)
      } catch (error) {
        // It may still run: its host is asked again when it answers. Until then the VM can be destroyed once more.
        log.warn({ vmUuid, err: describeError(error) }, 'a host cannot tell what became of a VM')
        await ctx.db.write((tx) => patchVm(tx, vmUuid, { state: vmState.unknown }))
      }
    },
  })
  const powerOff = powerOffStep(ctx)
  const leave = leaveStep(ctx)
  const end = defineStep<{ vmUuid: string }, void>({
    name: 'mark-destroyed',
    run: async ({ vmUuid }) => {
      const gone = { state: vmState.destroyed, hostUuid: undefined, deletedAt: steadyNow() }
      await ctx.db.write((tx) => patchVm(tx, vmUuid, gone))
    },
    undo: forward,
  })
  return defineWorkflow(
    'vm.destroy',
    [begin, powerOff, leave, end],
    async (flow, { vmUuid, hostUuid }) => {
      await flow.step(begin, { vmUuid })
      if (hostUuid !== undefined) {
        const there: OnHost = { vmUuid, hostUuid }
        await flow.step(powerOff, { ...there, graceMs: 0 })
        await flow.step(leave, there)
      }
      await flow.step(end, { vmUuid })
      return {}
    },
    { afterCrash: 'resume' },
  )
}

/** Removes a destroyed VM for good: disks, addresses, row. Goes on after a crash. */
export function expungeVmWorkflow(ctx: PluginContext): Workflow<{ vmUuid: string }, Record<string, never>> {
  const begin = defineStep<{ vmUuid: string }, void>({
    name: 'mark-expunging',
    run: async ({ vmUuid }) => {
      await ctx.db.write((tx) => patchVm(tx, vmUuid, { state: vmState.expunging }))
    },
    undo: async ({ vmUuid }) => {
      await ctx.db.write((tx) => patchVm(tx, vmUuid, { state: vmState.destroyed }))
    },
  })
  const volumes = defineStep<{ vmUuid: string }, void>({
    name: 'remove-volumes',
    run: ({ vmUuid }) => removeVolumes(ctx, vmUuid),
    undo: forward,
  })
  const rows = defineStep<{ vmUuid: string }, void>({
    name: 'remove-rows',
    run: async ({ vmUuid }) => {
      for (const nic of await nicsOf(ctx.db, vmUuid)) {
        // The address first: were it last, a death between the two would leave it to a NIC nobody finds any more.
        await ctx.bus.call(releaseIp, { vmNicUuid: nic.uuid })
        await ctx.db.write((tx) => removeNic(tx, nic.uuid))
      }
      await ctx.bus.call(releaseHost, { vmUuid })
      await ctx.bus.call(removeTags, { resourceUuid: vmUuid })
      await ctx.db.write((tx) => removeVm(tx, vmUuid))
    },
    undo: forward,
  })
  return defineWorkflow(
    'vm.expunge',
    [begin, volumes, rows],
    async (flow, input) => {
      await flow.step(begin, input)
      await flow.step(volumes, input)
      await flow.step(rows, input)
      return {}
    },
    { afterCrash: 'resume' },
  )
}

async function removeVolumes(ctx: PluginContext, vmUuid: string): Promise<void> {
  for (const { uuid, type } of await volumesOf(ctx.db, vmUuid)) {
    if (type === 'Root') {
      // First of all, so that nobody recovers a VM whose disk is gone.
      await ctx.db.write((tx) => patchVm(tx, vmUuid, { rootVolumeUuid: undefined }))
      await ctx.bus.call(discardFile, { uuid })
      await ctx.bus.call(removeVolume, { uuid })
      continue
    }
    // One of the two, so that what a crash cuts off is found again and repeated.
    await ctx.bus.call(ctx.config.get(deleteDataVolumes) ? markDeleted : releaseFromVm, { uuid })
  }
}
