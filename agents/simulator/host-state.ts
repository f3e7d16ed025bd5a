import type { AgentEvent, CallInput, CallOutput } from '#agent-rpc'
import type { AgentVmState, hostFacts } from '#agents/kvm-host/contract/host.ts'
import type { applyFlatNetwork } from '#agents/kvm-host/contract/network.ts'
import type { DiskSpec, NicSpec, VmSpec } from '#agents/kvm-host/contract/vm.ts'
import { CloudError, type ErrorCode, sysErrors } from '#kernel'
import type { SimulatedFiles } from './files.ts'
import type { SimulatedWorld } from './world.ts'

/** A domain that exists. A stopped VM has none. */
export interface SimulatedVm {
  readonly spec: VmSpec
  state: Exclude<AgentVmState, 'Stopped'>
  /** As plugged now; the spec tells how it started. */
  disks: readonly DiskSpec[]
  nics: readonly NicSpec[]
  /** Set by a knob: this guest does not react to the power button. */
  ignoresAcpi?: true
}

type FlatInput = CallInput<typeof applyFlatNetwork>
export type SimulatedLease = FlatInput['leases'][number]

export interface SimulatedNetwork {
  config: Omit<FlatInput, 'leases'>
  /** By MAC address. */
  readonly leases: Map<string, SimulatedLease>
}

/** One host's inside: what libvirt, the kernel and the file system would know. */
export interface HostState {
  facts: CallOutput<typeof hostFacts>
  readonly acceleration: 'kvm' | 'tcg'
  startedAtMs: number
  readonly files: SimulatedFiles
  readonly vms: Map<string, SimulatedVm>
  /** Which VM has a disk file open, and which has a tap device. */
  readonly diskUsers: Map<string, string>
  readonly tapUsers: Map<string, string>
  usedMemoryBytes: number
  /** Bridge to physical interface. */
  readonly bridges: Map<string, string>
  readonly networks: Map<string, SimulatedNetwork>
  /** Migrations this host expects: migration uuid to VM uuid. */
  readonly incoming: Map<string, string>
}

/** What the handlers of one host work on. */
export interface HostCore {
  /** `host 10.0.0.1:7070`, for errors. */
  readonly name: string
  readonly state: HostState
  readonly world: SimulatedWorld
  emit(event: AgentEvent): void
  readonly now: () => number
}

/** Tells that a VM changed state. `reason` is libvirt's word for it. */
export function emitVmState(
  core: HostCore,
  vmUuid: string,
  state: AgentVmState,
  reason: string,
  byAgent: boolean,
): void {
  core.emit({ name: 'vm.state', atMs: core.now(), data: { vmUuid, state, reason, byAgent } })
}

/** The refusal of something that cannot be done as things are: SYS.1006 unless another code says it better. */
export function impossible(
  core: HostCore,
  details: string,
  code: ErrorCode = sysErrors.operationFailed,
): CloudError {
  return new CloudError(code, `${details} (on ${core.name})`)
}
