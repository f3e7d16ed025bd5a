import { choice, defineApi, inventory, optional, ref, withDefault } from '#contract'
import { vmInstance } from './resources.ts'

export const startVmInstance = defineApi({
  name: 'StartVmInstance',
  message: 'org.zstack.header.vm.APIStartVmInstanceMsg',
  method: 'PUT',
  path: '/vm-instances/{uuid}/actions',
  summary: 'Start a stopped VM.',
  input: {
    uuid: ref('VmInstanceVO', 'Uuid of the vm.'),
    clusterUuid: optional(ref('ClusterVO', 'The cluster.')),
    hostUuid: optional(ref('HostVO', 'The host.')),
  },
  output: {
    inventory: inventory(vmInstance),
  },
})

export const stopVmInstance = defineApi({
  name: 'StopVmInstance',
  message: 'org.zstack.header.vm.APIStopVmInstanceMsg',
  method: 'PUT',
  path: '/vm-instances/{uuid}/actions',
  summary: 'Stop a VM by ACPI; cut the power when it does not react or the type is cold.',
  input: {
    uuid: ref('VmInstanceVO', 'Uuid of the vm.'),
    type: withDefault(choice('grace asks the guest first, cold cuts the power.', ['grace', 'cold']), 'grace'),
    stopHA: optional(
      choice('Also switch high availability off; a stopped VM stays stopped anyway.', ['true']),
    ),
  },
  output: {
    inventory: inventory(vmInstance),
  },
})

export const rebootVmInstance = defineApi({
  name: 'RebootVmInstance',
  message: 'org.zstack.header.vm.APIRebootVmInstanceMsg',
  method: 'PUT',
  path: '/vm-instances/{uuid}/actions',
  summary: 'Stop a VM and start it again.',
  input: {
    uuid: ref('VmInstanceVO', 'Uuid of the vm.'),
  },
  output: {
    inventory: inventory(vmInstance),
  },
})

export const pauseVmInstance = defineApi({
  name: 'PauseVmInstance',
  message: 'org.zstack.header.vm.APIPauseVmInstanceMsg',
  method: 'PUT',
  path: '/vm-instances/{uuid}/actions',
  summary: 'Freeze a running VM.',
  input: {
    uuid: ref('VmInstanceVO', 'Uuid of the vm.'),
  },
  output: {
    inventory: inventory(vmInstance),
  },
})

export const resumeVmInstance = defineApi({
  name: 'ResumeVmInstance',
  message: 'org.zstack.header.vm.APIResumeVmInstanceMsg',
  method: 'PUT',
  path: '/vm-instances/{uuid}/actions',
  summary: 'Let a paused VM run on.',
  input: {
    uuid: ref('VmInstanceVO', 'Uuid of the vm.'),
  },
  output: {
    inventory: inventory(vmInstance),
  },
})
