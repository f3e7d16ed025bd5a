import * as calls from '#agents/kvm-host/contract/vm.ts'
import { describeError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import type { PlacementSpec } from '#plugins/host/contract/extensions.ts'
import type { Placement } from '#plugins/host/contract/messages.ts'
import { defineStep, defineWorkflow, noUndo, type Workflow } from '#workflow'
import { gracefulStop } from '../contract/configs.ts'
import { vmState } from '../contract/states.ts'
import { vmSpec } from '../spec.ts'
import { bootStep, markRunningStep, type OnHost, placeStep, servicesStep } from '../steps/power.ts'
import { leaveHost, settleOrUnknown } from '../steps/settle.ts'
import { getVm, patchVm } from '../store.ts'
import { type VmReply, vmReply } from './reply.ts'

/** Puts a VM into a transient state; the undo asks its host what is true. */
function transientStep(ctx: PluginContext, name: string, state: string) {
  return defineStep<{ vmUuid: string }, void>({
    name,
    run: async ({ vmUuid }) => {
      await ctx.db.write((tx) => patchVm(tx, vmUuid, { state }))
    },
    undo: async ({ vmUuid }) => {
      await settleOrUnknown(ctx, vmUuid)
    },
  })
}

function markStep(ctx: PluginContext, name: string, state: string) {
  return defineStep<{ vmUuid: string }, void>({
    name,
    run: async ({ vmUuid }) => {
      await ctx.db.write((tx) => patchVm(tx, vmUuid, { state }))
    },
    undo: noUndo('the first step settles the state'),
  })
}

/** Starts a VM that is off, on its last host when that has room. */
export function startVmWorkflow(
  ctx: PluginContext,
): Workflow<{ vmUuid: string; placement: PlacementSpec }, VmReply> {
  const begin = transientStep(ctx, 'mark-starting', vmState.starting)
  const place = placeForStartStep(ctx)
  const services = undoIfReachable(ctx, servicesStep(ctx))
  const boot = undoIfReachable(ctx, bootStep(ctx))
  const markRunning = markRunningStep(ctx)
  return defineWorkflow(
    'vm.start',
    [begin, place, services, boot, markRunning],
    async (flow, { vmUuid, placement }) => {
      await flow.step(begin, { vmUuid })
      const placed = await flow.step(place, placement)
      const there = { vmUuid, hostUuid: placed.hostUuid }
      await flow.step(services, there)
      await flow.step(boot, there)
      await flow.step(markRunning, { vmUuid, placed })
      return vmReply(ctx, vmUuid)
    },
  )
}

/** A VM that may be on a host which cannot be asked keeps its place there; it is given back when the host tells. */
function placeForStartStep(ctx: PluginContext) {
  const place = placeStep(ctx)
  return defineStep<PlacementSpec, Placement>({
    name: place.name,
    run: place.run,
    undo: async (spec, placed, context) => {
      if ((await getVm(ctx.db, spec.vmUuid)).hostUuid === undefined && typeof place.undo === 'function')
        await place.undo(spec, placed, context)
    },
  })
}

/**
 * A step of a start whose undo gives up when the host is away: the first step then makes the VM Unknown, and it is settled when
 * the host is back. Tried again much later, such an undo could end a VM that was found running meanwhile.
 */
function undoIfReachable(ctx: PluginContext, step: ReturnType<typeof bootStep>) {
  return defineStep<OnHost, void>({
    name: step.name,
    run: step.run,
    undo: async (there, output, context) => {
      try {
        if (typeof step.undo === 'function') await step.undo(there, output, context)
      } catch (error) {
        ctx.log.warn({ ...there, err: describeError(error) }, 'a VM that was not started may still run')
      }
    },
  })
}

/** Stops a VM and gives back what it had on its host. Goes on after a crash: the guest may be off already. */
export function stopVmWorkflow(ctx: PluginContext): Workflow<OnHost & { graceMs: number }, VmReply> {
  const begin = transientStep(ctx, 'mark-stopping', vmState.stopping)
  const powerOff = powerOffStep(ctx)
  const leave = leaveStep(ctx)
  const end = defineStep<{ vmUuid: string }, void>({
    name: 'mark-stopped',
    run: async ({ vmUuid }) => {
      await ctx.db.write((tx) => patchVm(tx, vmUuid, { state: vmState.stopped, hostUuid: undefined }))
    },
    undo: noUndo('the first step settles the state'),
  })
  return defineWorkflow(
    'vm.stop',
    [begin, powerOff, leave, end],
    async (flow, { vmUuid, hostUuid, graceMs }) => {
      await flow.step(begin, { vmUuid })
      await flow.step(powerOff, { vmUuid, hostUuid, graceMs })
      await flow.step(leave, { vmUuid, hostUuid })
      await flow.step(end, { vmUuid })
      return vmReply(ctx, vmUuid)
    },
    { afterCrash: 'resume' },
  )
}

export function powerOffStep(ctx: PluginContext) {
  return defineStep<OnHost & { graceMs: number }, void>({
    name: 'power-off',
    run: async ({ vmUuid, hostUuid, graceMs }) => {
      const timeoutMs = graceMs + calls.stopVm.timeoutMs
      await (await agentOfHost(ctx, hostUuid)).call(calls.stopVm, { vmUuid, graceMs }, { timeoutMs })
    },
    undo: noUndo('a guest that is off stays off; the first step settles the state'),
  })
}

export function leaveStep(ctx: PluginContext) {
  return defineStep<OnHost, void>({
    name: 'leave-host',
    run: ({ vmUuid, hostUuid }) => leaveHost(ctx, vmUuid, hostUuid),
    undo: noUndo('the first step settles what the VM has on its host'),
  })
}

/** Stops a VM and starts it again where it is. */
export function rebootVmWorkflow(ctx: PluginContext): Workflow<OnHost, VmReply> {
  const reboot = defineStep<OnHost, void>({
    name: 'reboot',
    run: async ({ vmUuid, hostUuid }) => {
      const vm = await vmSpec(ctx, vmUuid, hostUuid)
      const graceMs = ctx.config.get(gracefulStop) * 1000
      await (await agentOfHost(ctx, hostUuid)).call(
        calls.rebootVm,
        { vm, graceMs },
        { timeoutMs: graceMs + calls.rebootVm.timeoutMs },
      )
    },
    undo: noUndo('the first step settles the state'),
  })
  return simpleWorkflow(ctx, 'vm.reboot', vmState.rebooting, reboot, vmState.running)
}

export function pauseVmWorkflow(ctx: PluginContext): Workflow<OnHost, VmReply> {
  const pause = defineStep<OnHost, void>({
    name: 'pause',
    run: async ({ vmUuid, hostUuid }) => {
      await (await agentOfHost(ctx, hostUuid)).call(calls.pauseVm, { vmUuid })
    },
    undo: async ({ vmUuid, hostUuid }) => {
      await resumeIfPaused(ctx, vmUuid, hostUuid)
    },
  })
  return simpleWorkflow(ctx, 'vm.pause', vmState.pausing, pause, vmState.paused)
}

export function resumeVmWorkflow(ctx: PluginContext): Workflow<OnHost, VmReply> {
  const resume = defineStep<OnHost, void>({
    name: 'resume',
    run: async ({ vmUuid, hostUuid }) => {
      await (await agentOfHost(ctx, hostUuid)).call(calls.resumeVm, { vmUuid })
    },
    undo: async ({ vmUuid, hostUuid }) => {
      const agent = await agentOfHost(ctx, hostUuid)
      if ((await agent.call(calls.vmInfo, { vmUuid })).state === 'Running')
        await agent.call(calls.pauseVm, { vmUuid })
    },
  })
  return simpleWorkflow(ctx, 'vm.resume', vmState.resuming, resume, vmState.running)
}

async function resumeIfPaused(ctx: PluginContext, vmUuid: string, hostUuid: string): Promise<void> {
  const agent = await agentOfHost(ctx, hostUuid)
  if ((await agent.call(calls.vmInfo, { vmUuid })).state === 'Paused')
    await agent.call(calls.resumeVm, { vmUuid })
}

function simpleWorkflow(
  ctx: PluginContext,
  name: string,
  transient: string,
  act: ReturnType<typeof defineStep<OnHost, void>>,
  final: string,
): Workflow<OnHost, VmReply> {
  const begin = transientStep(ctx, 'mark-begun', transient)
  const end = markStep(ctx, 'mark-done', final)
  return defineWorkflow(name, [begin, act, end], async (flow, { vmUuid, hostUuid }) => {
    await flow.step(begin, { vmUuid })
    await flow.step(act, { vmUuid, hostUuid })
    await flow.step(end, { vmUuid })
    return vmReply(ctx, vmUuid)
  })
}

/** Where a VM that is off may start: its volumes decide, its last host is preferred. */
export async function placementOf(
  ctx: PluginContext,
  vmUuid: string,
  volumeUuids: readonly string[],
  l3NetworkUuids: readonly string[],
  wish: { clusterUuid?: string | undefined; hostUuid?: string | undefined },
): Promise<PlacementSpec> {
  const vm = await getVm(ctx.db, vmUuid)
  const { cpuNum, memorySize, zoneUuid } = vm
  return {
    vmUuid,
    cpuNum,
    memorySize,
    zoneUuid,
    volumeUuids,
    l3NetworkUuids,
    preferredHostUuid: vm.lastHostUuid,
    ...wish,
  }
}
