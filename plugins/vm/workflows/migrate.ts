import * as calls from '#agents/kvm-host/contract/vm.ts'
import { CloudError, describeError, newUuid } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import { hostConnector, type PlacementSpec } from '#plugins/host/contract/extensions.ts'
import { type Placement, releaseHost } from '#plugins/host/contract/messages.ts'
import { locateImage } from '#plugins/image/contract/messages.ts'
import { image } from '#plugins/image/contract/resources.ts'
import { applyServices } from '#plugins/network-service/contract/messages.ts'
import type { ImageSource } from '#plugins/primary-storage/contract/extensions.ts'
import {
  cancelMove,
  finishMove,
  needsCopy,
  prepareMove,
  type VolumeMove,
} from '#plugins/primary-storage/contract/messages.ts'
import { defineStep, defineWorkflow, noUndo, type Workflow } from '#workflow'
import { vmErrors } from '../contract/errors.ts'
import { vmState } from '../contract/states.ts'
import { servedNics } from '../spec.ts'
import { placeStep } from '../steps/power.ts'
import { leaveHost, settleOrUnknown } from '../steps/settle.ts'
import { getVm, patchVm, volumesOf } from '../store.ts'
import { type VmReply, vmReply } from './reply.ts'

export interface MigrateInput {
  readonly vmUuid: string
  readonly sourceUuid: string
  readonly placement: PlacementSpec
  readonly autoConverge: boolean
}

interface Move {
  readonly vmUuid: string
  readonly migrationUuid: string
  readonly sourceUuid: string
  readonly destination: Placement
  readonly volumes: readonly VolumeMove[]
}

/**
 * Moves a running VM to another host. Until the guest has arrived everything can be taken back; from then on it cannot. Every
 * undo therefore first looks where the VM is and cleans up the side it is not on.
 */
export function migrateVmWorkflow(ctx: PluginContext): Workflow<MigrateInput, VmReply> {
  const steps = { ...bookSteps(ctx), ...moveSteps(ctx), place: placeForMoveStep(ctx) }
  return defineWorkflow('vm.migrate', Object.values(steps), async (flow, input) => {
    const { vmUuid, sourceUuid } = input
    await flow.step(steps.begin, { vmUuid, sourceUuid })
    const destination = await flow.step(steps.place, input.placement)
    const volumes = await volumesToMove(ctx, vmUuid, destination)
    const move: Move = { vmUuid, migrationUuid: newUuid(), sourceUuid, destination, volumes }
    for (const volume of volumes) await flow.step(steps.copy, { vmUuid, volume })
    await flow.step(steps.prepare, move)
    await flow.step(steps.transfer, { ...move, autoConverge: input.autoConverge })
    await flow.step(steps.leave, move)
    return vmReply(ctx, vmUuid)
  })
}

function placeForMoveStep(ctx: PluginContext) {
  const place = placeStep(ctx)
  return defineStep<PlacementSpec, Placement>({
    name: place.name,
    run: place.run,
    // The guest keeps its place where it is now, arrived or not. Which host was chosen need not be known.
    undo: async ({ vmUuid }) => {
      const { hostUuid } = await getVm(ctx.db, vmUuid)
      await ctx.bus.call(releaseHost, { vmUuid, exceptHostUuids: hostUuid === undefined ? [] : [hostUuid] })
    },
  })
}

function bookSteps(ctx: PluginContext) {
  const begin = defineStep<{ vmUuid: string; sourceUuid: string }, void>({
    name: 'mark-migrating',
    run: async ({ vmUuid }) => {
      await ctx.db.write((tx) => patchVm(tx, vmUuid, { state: vmState.migrating }))
    },
    // Its host may have lost it meanwhile.
    undo: ({ vmUuid }) => settleOrUnknown(ctx, vmUuid),
  })
  const leave = defineStep<Move, void>({
    name: 'leave-source',
    run: (move) => leaveLoser(ctx, move),
    undo: noUndo('the steps before clean up the side the VM is not on'),
  })
  return { begin, leave }
}

function moveSteps(ctx: PluginContext) {
  const copy = defineStep<{ vmUuid: string; volume: VolumeMove }, void>({
    name: 'make-room',
    run: ({ volume }) => ctx.bus.call(prepareMove, volume),
    undo: async ({ vmUuid, volume }) => {
      const arrived = await hasArrived(ctx, vmUuid, volume.place.hostUuid)
      await ctx.bus.call(arrived ? finishMove : cancelMove, volume)
    },
  })
  const prepare = defineStep<Move, void>({
    name: 'prepare-destination',
    run: async ({ vmUuid, migrationUuid, sourceUuid, destination }) => {
      const nics = await servedNics(ctx, vmUuid)
      if (nics.length > 0) await ctx.bus.call(applyServices, { hostUuid: destination.hostUuid, nics })
      await (await agentOfHost(ctx, destination.hostUuid)).call(calls.prepareMigration, {
        vmUuid,
        migrationUuid,
        sourceUuid,
      })
    },
    undo: async (move) => {
      if (await hasArrived(ctx, move.vmUuid, move.destination.hostUuid)) return leaveLoser(ctx, move)
      const nics = await servedNics(ctx, move.vmUuid)
      await closeTunnels(ctx, move, true)
      await leaveHost(ctx, move.vmUuid, move.destination.hostUuid)
      const isOnSource = (await getVm(ctx.db, move.vmUuid)).hostUuid === move.sourceUuid
      if (nics.length > 0 && isOnSource)
        await ctx.bus.call(applyServices, { hostUuid: move.sourceUuid, nics })
    },
  })
  const transfer = defineStep<Move & { autoConverge: boolean }, void>({
    name: 'transfer',
    run: async (move) => {
      await transferGuest(ctx, move)
      await markArrived(ctx, move)
    },
    undo: (move) => settleMove(ctx, move),
  })
  return { copy, prepare, transfer }
}

async function transferGuest(ctx: PluginContext, move: Move & { autoConverge: boolean }): Promise<void> {
  const { vmUuid, migrationUuid, sourceUuid, destination, autoConverge } = move
  const to = await ctx.driver(hostConnector, destination.hypervisorType).peerAddress(destination.hostUuid)
  const agent = await agentOfHost(ctx, sourceUuid)
  const withStorage = move.volumes.length > 0
  try {
    await agent.call(calls.migrateVm, { vmUuid, migrationUuid, destination: to, withStorage, autoConverge })
  } catch (error) {
    // The answer may have got lost after the guest arrived: what counts is where it runs.
    if (await runsOn(ctx, destination.hostUuid, vmUuid)) return
    throw new CloudError(
      vmErrors.migrate,
      `the VM could not be moved and runs on where it was: ${describeError(error)}`,
      { cause: error },
    )
  }
}

async function runsOn(ctx: PluginContext, hostUuid: string, vmUuid: string): Promise<boolean> {
  return (await (await agentOfHost(ctx, hostUuid)).call(calls.vmInfo, { vmUuid })).state === 'Running'
}

/** Also when the guest has ended there since: its disks are there and nowhere else. */
async function hasArrived(ctx: PluginContext, vmUuid: string, destinationUuid: string): Promise<boolean> {
  const { hostUuid, lastHostUuid } = await getVm(ctx.db, vmUuid)
  return (hostUuid ?? lastHostUuid) === destinationUuid
}

async function markArrived(ctx: PluginContext, { vmUuid, destination }: Move): Promise<void> {
  const { hostUuid, clusterUuid } = destination
  const where = { hostUuid, lastHostUuid: hostUuid, clusterUuid, state: vmState.running }
  await ctx.db.write((tx) => patchVm(tx, vmUuid, where))
}

/** Finds out on which side the guest is, and writes it down. The transfer is ended first, so that the answer is final. */
async function settleMove(ctx: PluginContext, move: Move): Promise<void> {
  await (await agentOfHost(ctx, move.sourceUuid)).call(calls.cleanMigration, {
    vmUuid: move.vmUuid,
    migrationUuid: move.migrationUuid,
    destroyIncoming: false,
  })
  if (await runsOn(ctx, move.sourceUuid, move.vmUuid)) return
  if (await runsOn(ctx, move.destination.hostUuid, move.vmUuid)) await markArrived(ctx, move)
}

/** The guest has arrived: the destination serves it, and the source gives back all it held for it. */
async function leaveLoser(ctx: PluginContext, move: Move): Promise<void> {
  const { hostUuid } = move.destination
  // Whoever served all NICs of the destination meanwhile did not know of it yet, and wiped what was prepared.
  const isThere = (await getVm(ctx.db, move.vmUuid)).hostUuid === hostUuid
  const nics = isThere ? await servedNics(ctx, move.vmUuid) : []
  if (nics.length > 0) await ctx.bus.call(applyServices, { hostUuid, nics })
  for (const volume of move.volumes) await ctx.bus.call(finishMove, volume)
  await leaveHost(ctx, move.vmUuid, move.sourceUuid)
  await closeTunnels(ctx, move, false)
}

async function closeTunnels(ctx: PluginContext, move: Move, destroyIncoming: boolean): Promise<void> {
  const { vmUuid, migrationUuid } = move
  for (const hostUuid of [move.sourceUuid, move.destination.hostUuid]) {
    const incoming = destroyIncoming && hostUuid === move.destination.hostUuid
    await (await agentOfHost(ctx, hostUuid)).call(calls.cleanMigration, {
      vmUuid,
      migrationUuid,
      destroyIncoming: incoming,
    })
  }
}

/** Volumes on storage that is bound to a host move with the VM, as their top layer over the same image. */
async function volumesToMove(
  ctx: PluginContext,
  vmUuid: string,
  destination: Placement,
): Promise<VolumeMove[]> {
  const { zoneUuid } = await getVm(ctx.db, vmUuid)
  const moves: VolumeMove[] = []
  for (const v of await volumesOf(ctx.db, vmUuid)) {
    const { primaryStorageUuid, installPath } = v
    if (primaryStorageUuid === undefined || installPath === undefined) continue
    if (!(await ctx.bus.call(needsCopy, { primaryStorageUuid }))) continue
    const base = v.rootImageUuid === undefined ? undefined : await baseOf(ctx, v.rootImageUuid, zoneUuid)
    const kind = v.type === 'Root' ? ('Root' as const) : ('Data' as const)
    const place = {
      volumeUuid: v.uuid,
      accountUuid: v.accountUuid,
      kind,
      sizeBytes: v.size,
      primaryStorageUuid,
      hostUuid: destination.hostUuid,
    }
    moves.push({ place, installPath, image: base })
  }
  return moves
}

/** The image below a volume, which the destination needs as well. */
async function baseOf(ctx: PluginContext, imageUuid: string, zoneUuid: string): Promise<ImageSource> {
  if ((await ctx.query.missing(image, [imageUuid])).length === 0)
    return ctx.bus.call(locateImage, { imageUuid, zoneUuid, forExisting: true })
  const details = `the image[uuid:${imageUuid}] below its root volume was expunged, so that no other host can get it`
  throw new CloudError(vmErrors.migrate, details)
}
