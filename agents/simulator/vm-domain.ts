import type { AgentVmState } from '#agents/kvm-host/contract/host.ts'
import type { DiskSpec, NicSpec, VmSpec } from '#agents/kvm-host/contract/vm.ts'
import { emitVmState, type HostCore, impossible, type SimulatedVm } from './host-state.ts'

/**
 * Begins a domain: checks all it needs on this host, takes its disks, taps and memory, tells about it.
 * Nothing is taken when a check fails (SYS.1006).
 */
export function beginDomain(
  core: HostCore,
  vm: SimulatedVm,
  event: { readonly reason: string; readonly byAgent: boolean },
): void {
  const { state } = core
  const { vmUuid } = vm.spec
  checkDomain(core, vm)
  for (const disk of vm.disks) state.diskUsers.set(disk.installPath, vmUuid)
  for (const nic of vm.nics) state.tapUsers.set(nic.deviceName, vmUuid)
  state.usedMemoryBytes += vm.spec.memoryBytes
  state.vms.set(vmUuid, vm)
  emitVmState(core, vmUuid, vm.state, event.reason, event.byAgent)
}

/** Ends a domain and gives back what it took. Does nothing when there is none. */
export function endDomain(
  core: HostCore,
  vmUuid: string,
  event: { readonly reason: string; readonly byAgent: boolean },
): void {
  const { state } = core
  const vm = state.vms.get(vmUuid)
  if (vm === undefined) return
  for (const disk of vm.disks) state.diskUsers.delete(disk.installPath)
  for (const nic of vm.nics) state.tapUsers.delete(nic.deviceName)
  state.usedMemoryBytes -= vm.spec.memoryBytes
  state.vms.delete(vmUuid)
  emitVmState(core, vmUuid, 'Stopped', event.reason, event.byAgent)
}

/** Changes the state of a domain that exists, and tells. */
export function changeState(
  core: HostCore,
  vm: SimulatedVm,
  to: Exclude<AgentVmState, 'Stopped'>,
  event: { readonly reason: string; readonly byAgent: boolean },
): void {
  if (vm.state === to) return
  vm.state = to
  emitVmState(core, vm.spec.vmUuid, to, event.reason, event.byAgent)
}

/** Throws SYS.1006 unless the disk's file and all below it are here, and no other VM writes it. */
export function checkDisk(core: HostCore, vmUuid: string, disk: DiskSpec): void {
  const { files, diskUsers } = core.state
  const path = disk.installPath
  const format = files.get(path)?.format
  if (format !== undefined && format !== disk.format) {
    throw impossible(core, `disk ${path} of VM ${vmUuid} is ${format}, not ${disk.format}`)
  }
  for (let at: string | undefined = path; at !== undefined; at = files.get(at)?.backingPath) {
    if (files.get(at) === undefined) {
      const what = at === path ? `disk ${at}` : `backing file ${at} of disk ${path}`
      throw impossible(core, `VM ${vmUuid} cannot use ${what}: no such file`)
    }
  }
  const user = diskUsers.get(path)
  if (user !== undefined && user !== vmUuid) {
    throw impossible(core, `VM ${vmUuid} cannot use disk ${path}: VM ${user} has it open`)
  }
}

/** Throws SYS.1006 unless the NIC's bridge is here and its tap is free. */
export function checkNic(core: HostCore, vmUuid: string, nic: NicSpec): void {
  const { bridges, tapUsers } = core.state
  if (!bridges.has(nic.bridge)) {
    throw impossible(core, `NIC ${nic.mac} of VM ${vmUuid} needs bridge ${nic.bridge}, which does not exist`)
  }
  const user = tapUsers.get(nic.deviceName)
  if (user !== undefined) {
    throw impossible(core, `tap ${nic.deviceName} of VM ${vmUuid} is busy: VM ${user} has it`)
  }
}

/** Name of a disk inside the guest. */
export function targetOf(disk: DiskSpec): string {
  return `${disk.bus === 'ide' ? 'hd' : 'vd'}${String.fromCharCode(97 + disk.deviceId)}`
}

function checkDomain(core: HostCore, { spec, disks, nics }: SimulatedVm): void {
  if (spec.acceleration === 'kvm' && core.state.acceleration !== 'kvm') {
    throw impossible(core, `VM ${spec.vmUuid} needs KVM, which this host does not have`)
  }
  checkUnique(core, spec, 'device', disks.map(targetOf))
  checkUnique(
    core,
    spec,
    'disk',
    disks.map((disk) => disk.installPath),
  )
  checkUnique(
    core,
    spec,
    'MAC address',
    nics.map((nic) => nic.mac),
  )
  checkUnique(
    core,
    spec,
    'tap',
    nics.map((nic) => nic.deviceName),
  )
  for (const disk of disks) checkDisk(core, spec.vmUuid, disk)
  for (const nic of nics) checkNic(core, spec.vmUuid, nic)
  for (const { path } of spec.cdroms) {
    if (path !== '' && core.state.files.get(path) === undefined) {
      throw impossible(core, `VM ${spec.vmUuid} cannot use ISO ${path}: no such file`)
    }
  }
}

function checkUnique(core: HostCore, spec: VmSpec, what: string, values: readonly string[]): void {
  if (values.length < 2 || new Set(values).size === values.length) return
  throw impossible(core, `VM ${spec.vmUuid} has the same ${what} twice: ${values.join(', ')}`)
}
