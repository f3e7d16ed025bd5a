import type { AgentHandlers } from '#agent-rpc'
import type { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import type { DiskSpec, NicSpec } from '#agents/kvm-host/contract/vm.ts'
import { sysErrors } from '#kernel'
import { type HostCore, impossible, type SimulatedVm } from './host-state.ts'
import { checkDisk, checkNic, targetOf } from './vm-domain.ts'
import { aliveDomain } from './vm-power.ts'

type DeviceArea = 'attachVolume' | 'detachVolume' | 'attachNic' | 'detachNic'

/** Hot-plugging. A paused guest accepts a device but cannot let one go. */
export function createVmDeviceHandlers(core: HostCore): Pick<AgentHandlers<typeof kvmHostCalls>, DeviceArea> {
  const { state } = core
  return {
    attachVolume: async ({ vmUuid, disk }) => {
      attachDisk(core, aliveDomain(core, vmUuid, 'plug a disk into'), disk)
      return {}
    },
    detachVolume: async ({ vmUuid, installPath }) => {
      const vm = state.vms.get(vmUuid)
      if (!vm?.disks.some((disk) => disk.installPath === installPath)) return {}
      checkLetsGo(core, vm, `disk ${installPath}`)
      vm.disks = vm.disks.filter((disk) => disk.installPath !== installPath)
      state.diskUsers.delete(installPath)
      return {}
    },
    attachNic: async ({ vmUuid, nic }) => {
      attachInterface(core, aliveDomain(core, vmUuid, 'plug a NIC into'), nic)
      return {}
    },
    detachNic: async ({ vmUuid, mac }) => {
      const vm = state.vms.get(vmUuid)
      const nic = vm?.nics.find((each) => each.mac === mac)
      if (vm === undefined || nic === undefined) return {}
      checkLetsGo(core, vm, `NIC ${mac}`)
      vm.nics = vm.nics.filter((each) => each !== nic)
      state.tapUsers.delete(nic.deviceName)
      return {}
    },
  }
}

function attachDisk(core: HostCore, vm: SimulatedVm, disk: DiskSpec): void {
  const { vmUuid } = vm.spec
  if (vm.disks.some((each) => each.installPath === disk.installPath)) return
  const target = targetOf(disk)
  if (disk.bus === 'ide') {
    throw impossible(
      core,
      `disk ${disk.installPath} cannot be plugged into VM ${vmUuid}: ide has no hot-plug`,
    )
  }
  if (vm.disks.some((each) => targetOf(each) === target)) {
    throw impossible(core, `VM ${vmUuid} has a disk ${target} already`)
  }
  checkDisk(core, vmUuid, disk)
  vm.disks = [...vm.disks, disk]
  core.state.diskUsers.set(disk.installPath, vmUuid)
}

function attachInterface(core: HostCore, vm: SimulatedVm, nic: NicSpec): void {
  if (vm.nics.some((each) => each.mac === nic.mac)) return
  checkNic(core, vm.spec.vmUuid, nic)
  vm.nics = [...vm.nics, nic]
  core.state.tapUsers.set(nic.deviceName, vm.spec.vmUuid)
}

function checkLetsGo(core: HostCore, vm: SimulatedVm, what: string): void {
  if (vm.state === 'Paused') {
    throw impossible(
      core,
      `the guest of VM ${vm.spec.vmUuid} did not let ${what} go: it is paused`,
      sysErrors.timeout,
    )
  }
}
