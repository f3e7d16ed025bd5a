import type { AgentHandlers } from '#agent-rpc'
import type { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import type { HostCore } from './host-state.ts'

type HostArea = 'hostFacts' | 'hostPing' | 'hostCapacity' | 'probeAcceleration' | 'listVms'

/** Facts, ping, capacity and the list of domains. */
export function createHostHandlers({ state }: HostCore): Pick<AgentHandlers<typeof kvmHostCalls>, HostArea> {
  return {
    hostFacts: async () => ({ ...state.facts, interfaces: [...state.facts.interfaces] }),
    hostPing: async () => ({
      bootId: state.facts.bootId,
      agentVersion: state.facts.agentVersion,
      agentStartedAt: state.startedAtMs,
    }),
    hostCapacity: async () => ({
      totalMemoryBytes: state.facts.totalMemoryBytes,
      usedMemoryBytes: state.usedMemoryBytes,
    }),
    probeAcceleration: async () => ({
      acceleration: state.acceleration,
      reason: `this simulated host was made with ${state.acceleration}`,
    }),
    listVms: async () => ({ vms: Array.from(state.vms, ([vmUuid, vm]) => ({ vmUuid, state: vm.state })) }),
  }
}
