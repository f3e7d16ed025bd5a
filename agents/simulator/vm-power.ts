import type { AgentHandlers } from '#agent-rpc'
import type { AgentVmState } from '#agents/kvm-host/contract/host.ts'
import type { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import type { VmSpec } from '#agents/kvm-host/contract/vm.ts'
import { sysErrors } from '#kernel'
import { type HostCore, impossible, type SimulatedVm } from './host-state.ts'
import { beginDomain, changeState, endDomain, targetOf } from './vm-domain.ts'

type PowerArea =
  | 'startVm'
  | 'stopVm'
  | 'rebootVm'
  | 'pauseVm'
  | 'resumeVm'
  | 'destroyVm'
  | 'vmInfo'
  | 'consoleInfo'

/** Life and death of domains. Guests react to the power button at once unless told not to, or paused. */
export function createVmPowerHandlers(core: HostCore): Pick<AgentHandlers<typeof kvmHostCalls>, PowerArea> {
  const { vms } = core.state
  return {
    startVm: async ({ vm, paused }) => ({ state: start(core, vm, paused === true) }),
    stopVm: async ({ vmUuid, graceMs }) => ({ state: 'Stopped', forced: stop(core, vmUuid, graceMs) }),
    rebootVm: async ({ vm, graceMs }) => {
      stop(core, vm.vmUuid, graceMs)
      return { state: start(core, vm, false) }
    },
    pauseVm: async ({ vmUuid }) => {
      const vm = aliveDomain(core, vmUuid, 'pause')
      changeState(core, vm, 'Paused', { reason: 'user', byAgent: true })
      return { state: vm.state }
    },
    resumeVm: async ({ vmUuid }) => {
      const vm = aliveDomain(core, vmUuid, 'resume')
      changeState(core, vm, 'Running', { reason: 'unpaused', byAgent: true })
      return { state: vm.state }
    },
    destroyVm: async ({ vmUuid }) => {
      endDomain(core, vmUuid, { reason: 'destroyed', byAgent: true })
      return { state: 'Stopped' }
    },
    vmInfo: async ({ vmUuid }) => info(vms.get(vmUuid)),
    consoleInfo: async ({ vmUuid }) => {
      aliveDomain(core, vmUuid, 'open the console of')
      return { socketPath: `/run/zstack/vnc/${vmUuid}.sock` }
    },
  }
}

/** The domain, running or paused. Throws SYS.1003 when there is none, SYS.1005 when it has crashed. */
export function aliveDomain(core: HostCore, vmUuid: string, verb: string): SimulatedVm {
  const vm = core.state.vms.get(vmUuid)
  if (vm === undefined) {
    throw impossible(core, `cannot ${verb} VM ${vmUuid}: it does not run`, sysErrors.resourceNotFound)
  }
  if (vm.state === 'Crashed') {
    throw impossible(core, `cannot ${verb} VM ${vmUuid}: it is Crashed`, sysErrors.changeState)
  }
  return vm
}

function start(core: HostCore, spec: VmSpec, paused: boolean): AgentVmState {
  const there = core.state.vms.get(spec.vmUuid)
  if (there !== undefined && there.state !== 'Crashed') return there.state
  endDomain(core, spec.vmUuid, { reason: 'destroyed', byAgent: true })
  const state = paused ? 'Paused' : 'Running'
  const vm: SimulatedVm = { spec, state, disks: spec.disks, nics: spec.nics }
  beginDomain(core, vm, { reason: 'booted', byAgent: true })
  return state
}

/** True when the power had to be cut. */
function stop(core: HostCore, vmUuid: string, graceMs: number): boolean {
  const vm = core.state.vms.get(vmUuid)
  if (vm === undefined) return false
  const forced = graceMs <= 0 || vm.state !== 'Running' || vm.ignoresAcpi === true
  endDomain(core, vmUuid, { reason: forced ? 'destroyed' : 'shutdown', byAgent: true })
  return forced
}

function info(vm: SimulatedVm | undefined) {
  if (vm === undefined) return { state: 'Stopped' as const, disks: [], nics: [], cpuNum: 0, memoryBytes: 0 }
  return {
    state: vm.state,
    disks: vm.disks.map((disk) => ({
      path: disk.installPath,
      target: targetOf(disk),
      cacheMode: disk.cacheMode,
    })),
    nics: vm.nics.map(({ mac, deviceName, bridge }) => ({ mac, deviceName, bridge })),
    cpuNum: vm.spec.cpuNum,
    memoryBytes: vm.spec.memoryBytes,
  }
}
