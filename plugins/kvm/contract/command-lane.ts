import type { CommandLane } from '#agent-rpc'
import { startVm } from '#agents/kvm-host/contract/vm.ts'
import { laneOf, type PluginContext } from '#plugin-host'
import { hostParallelism, vmStartParallelism } from './configs.ts'

/** What bounds the commands to one KVM host, real or simulated. Starts of VMs wait among themselves before they take a place. */
export function commandLaneOf(ctx: Pick<PluginContext, 'lanes' | 'config'>, hostUuid: string): CommandLane {
  const starts = laneOf(ctx, `vm-starts:${hostUuid}`, vmStartParallelism)
  const commands = laneOf(ctx, `host-commands:${hostUuid}`, hostParallelism)
  return {
    run: (work) => {
      if (work.label !== startVm.name) return commands.run(work)
      return starts.run({ ...work, run: () => commands.run(work) })
    },
  }
}
