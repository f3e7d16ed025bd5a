import { findOne, update } from '#db'
import type { PluginContext } from '#plugin-host'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { plugDisk, unplugDisk } from '#plugins/vm/contract/messages.ts'
import { defineStep, defineWorkflow, noUndo, type Workflow } from '#workflow'
import * as messages from './contract/messages.ts'
import { type Volume, volume } from './contract/resources.ts'
import { patchVolume } from './store.ts'

/** Makes a data volume at once, on a chosen host. */
export function createWorkflow(
  ctx: PluginContext,
): Workflow<{ volume: messages.NewVolume; target: messages.VolumeTarget | undefined }, void> {
  const add = defineStep<messages.NewVolume, void>({
    name: 'add-row',
    run: (v) => ctx.bus.call(messages.addVolume, v),
    undo: (v) => ctx.bus.call(messages.removeVolume, { uuid: v.uuid }),
  })
  const { claim, make } = fileSteps(ctx)
  return defineWorkflow('volume.create', [add, claim, make], async (flow, input) => {
    await flow.step(add, input.volume)
    if (input.target === undefined) return
    await flow.step(claim, input.target)
    await flow.step(make, input.target)
  })
}

/** Reserving space and making the file, as two steps with their undo. */
function fileSteps(ctx: PluginContext) {
  const claim = defineStep<messages.VolumeTarget, void>({
    name: 'claim-space',
    run: (target) => ctx.bus.call(messages.claimSpace, target),
    undo: ({ uuid }) => ctx.bus.call(messages.discardFile, { uuid }),
  })
  const make = defineStep<messages.VolumeTarget, void>({
    name: 'make-file',
    run: async ({ uuid, hostUuid }) => {
      await ctx.bus.call(messages.makeFile, { uuid, hostUuid })
    },
    undo: noUndo('claim-space removes the file together with the space'),
  })
  return { claim, make }
}

export interface Attach {
  readonly volumeUuid: string
  readonly vmUuid: string
  readonly deviceId: number
  /** What it was before. */
  readonly lastAttachDate: number | undefined
  /** Set when the volume has no file yet. */
  readonly target: messages.VolumeTarget | undefined
}

/** Gives a VM a data volume: the file when it has none, the books, the plug. */
export function attachWorkflow(ctx: PluginContext): Workflow<Attach, void> {
  const { claim, make } = fileSteps(ctx)
  const assign = defineStep<Attach, void>({
    name: 'assign',
    run: ({ volumeUuid, vmUuid, deviceId }) =>
      ctx.db.write((tx) =>
        patchVolume(tx, volumeUuid, { vmInstanceUuid: vmUuid, deviceId, lastAttachDate: Date.now() }),
      ),
    undo: async ({ volumeUuid: uuid, vmUuid: vmInstanceUuid, lastAttachDate }) => {
      const free = { vmInstanceUuid: undefined, deviceId: undefined, lastAttachDate }
      await ctx.db.write((tx) => update(tx, volume, { uuid, vmInstanceUuid }, free))
    },
  })
  const plug = defineStep<Attach, void>({
    name: 'plug',
    run: ({ vmUuid, volumeUuid, deviceId }) => ctx.bus.call(plugDisk, { vmUuid, volumeUuid, deviceId }),
    undo: async ({ vmUuid, volumeUuid }) => {
      // It may be gone by now: let go with its VM while the host was away, and removed.
      const installPath = (await findOne(ctx.db, volume, { uuid: volumeUuid }))?.installPath
      if (installPath !== undefined) await ctx.bus.call(unplugDisk, { vmUuid, installPath })
    },
  })
  return defineWorkflow('volume.attach', [claim, make, assign, plug], async (flow, input) => {
    if (input.target !== undefined) {
      await flow.step(claim, input.target)
      await flow.step(make, input.target)
    }
    await flow.step(assign, input)
    await flow.step(plug, input)
  })
}

/** Takes a data volume from its VM; a guest that does not let go leaves everything as it was. */
export function detachWorkflow(ctx: PluginContext): Workflow<{ volume: Volume; vmUuid: string }, void> {
  const unplug = defineStep<{ volume: Volume; vmUuid: string }, void>({
    name: 'unplug',
    run: ({ volume: v, vmUuid }) => ctx.bus.call(unplugDisk, { vmUuid, installPath: v.installPath ?? '' }),
    undo: async ({ volume: v, vmUuid }) => {
      // While its host was away it may have been let go by another call, or with its VM.
      if ((await findOne(ctx.db, volume, { uuid: v.uuid }))?.vmInstanceUuid !== vmUuid) return
      await ctx.bus.call(plugDisk, { vmUuid, volumeUuid: v.uuid, deviceId: v.deviceId ?? 1 })
    },
  })
  const release = defineStep<{ volume: Volume; vmUuid: string }, void>({
    name: 'release',
    run: ({ volume: v }) => ctx.bus.call(messages.releaseFromVm, { uuid: v.uuid }),
    undo: async ({ volume: v, vmUuid: vmInstanceUuid }) => {
      const { deviceId, lastVmInstanceUuid, lastDetachDate } = v
      const before = { vmInstanceUuid, deviceId, lastVmInstanceUuid, lastDetachDate }
      await ctx.db.write((tx) => patchVolume(tx, v.uuid, before))
    },
  })
  return defineWorkflow('volume.detach', [unplug, release], async (flow, input) => {
    await flow.step(unplug, input)
    await flow.step(release, input)
  })
}

/** Removes a volume for good. Goes on after a crash. */
export function expungeWorkflow(ctx: PluginContext): Workflow<{ uuid: string }, Record<string, never>> {
  const forward = noUndo('a removal goes forward')
  const discard = defineStep<{ uuid: string }, void>({
    name: 'discard-file',
    run: (input) => ctx.bus.call(messages.discardFile, input),
    undo: forward,
  })
  const drop = defineStep<{ uuid: string }, void>({
    name: 'remove-row',
    run: async ({ uuid }) => {
      await ctx.bus.call(messages.removeVolume, { uuid })
      await ctx.bus.call(removeTags, { resourceUuid: uuid })
    },
    undo: forward,
  })
  return defineWorkflow(
    'volume.expunge',
    [discard, drop],
    async (flow, input) => {
      await flow.step(discard, input)
      await flow.step(drop, input)
      return {}
    },
    { afterCrash: 'resume' },
  )
}
