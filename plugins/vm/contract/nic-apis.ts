import { defineApi, defineQuery, inventory, optional, ref, text, unsupported } from '#contract'
import { vmInstance, vmNic } from './resources.ts'

export const attachL3NetworkToVm = defineApi({
  name: 'AttachL3NetworkToVm',
  message: 'org.zstack.header.vm.APIAttachL3NetworkToVmMsg',
  path: '/vm-instances/{vmInstanceUuid}/l3-networks/{l3NetworkUuid}',
  summary: 'Give a VM a NIC on a network, also while it runs.',
  input: {
    vmInstanceUuid: ref('VmInstanceVO', 'The VM.'),
    l3NetworkUuid: ref('L3NetworkVO', 'The L3 network.'),
    staticIp: optional(text('Address it shall have.')),
    driverType: optional(text('Device the guest sees, virtio.')),
    customMac: optional(text('MAC address it shall have.')),
    vmNicParams: unsupported(
      text('NICs with addresses of their own, as JSON; use l3NetworkUuids and staticIp tags.'),
    ),
  },
  output: {
    inventory: inventory(vmInstance),
  },
})

export const detachL3NetworkFromVm = defineApi({
  name: 'DetachL3NetworkFromVm',
  message: 'org.zstack.header.vm.APIDetachL3NetworkFromVmMsg',
  method: 'DELETE',
  path: '/vm-instances/nics/{vmNicUuid}',
  summary: 'Take a NIC from a VM.',
  input: {
    vmNicUuid: ref('VmNicVO', 'The NIC.'),
  },
  output: {
    inventory: inventory(vmInstance),
  },
})

export const queryVmNic = defineQuery({
  name: 'QueryVmNic',
  message: 'org.zstack.header.vm.APIQueryVmNicMsg',
  path: '/vm-instances/nics',
  resource: vmNic,
})
