import { destroyVm, vmInfo } from '#agents/kvm-host/contract/vm.ts'
import { describeError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import { releaseHost } from '#plugins/host/contract/messages.ts'
import { removeServices } from '#plugins/network-service/contract/messages.ts'
import { vmState } from '../contract/states.ts'
import { servedNics } from '../spec.ts'
import { findVm, patchVm } from '../store.ts'

const stateOf: Readonly<Record<string, string>> = { Running: vmState.running, Paused: vmState.paused }

/**
 * Makes the database say what is true of a VM on its host: whatever was attempted, the domain runs, is paused or is gone.
 * A VM that is gone gives back what it had there. Throws when the host cannot be asked.
 */
export async function settleVm(ctx: PluginContext, vmUuid: string): Promise<string | undefined> {
  const vm = await findVm(ctx.db, vmUuid)
  if (vm === undefined) return undefined
  if (vm.hostUuid === undefined) return mark(ctx, vmUuid, vmState.stopped)
  const agent = await agentOfHost(ctx, vm.hostUuid)
  const { state } = await agent.call(vmInfo, { vmUuid })
  const live = stateOf[state]
  if (live !== undefined) return mark(ctx, vmUuid, live)
  // What is left of a guest whose QEMU died still holds memory, disks and taps.
  if (state !== 'Stopped') await agent.call(destroyVm, { vmUuid })
  await leaveHost(ctx, vmUuid, vm.hostUuid)
  await ctx.db.write((tx) => patchVm(tx, vmUuid, { state: vmState.stopped, hostUuid: undefined }))
  return vmState.stopped
}

/** As `settleVm`; a VM whose host cannot be asked is Unknown until the host is connected again. */
export async function settleOrUnknown(ctx: PluginContext, vmUuid: string): Promise<void> {
  try {
    await settleVm(ctx, vmUuid)
  } catch (error) {
    ctx.log.warn({ vmUuid, err: describeError(error) }, 'the host of a VM cannot tell what became of it')
    await mark(ctx, vmUuid, vmState.unknown)
  }
}

/** Gives back what a VM that is off had on a host: network services, CPU and memory. */
export async function leaveHost(ctx: PluginContext, vmUuid: string, hostUuid: string): Promise<void> {
  const nics = await servedNics(ctx, vmUuid)
  if (nics.length > 0) await ctx.bus.call(removeServices, { hostUuid, nics })
  await ctx.bus.call(releaseHost, { vmUuid, hostUuid })
}

async function mark(ctx: PluginContext, vmUuid: string, state: string): Promise<string> {
  await ctx.db.write((tx) => patchVm(tx, vmUuid, { state }))
  return state
}
