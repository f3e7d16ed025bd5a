import { defineApi, inventory, ref, text, withDefault } from '#contract'
import { vmInstance } from './resources.ts'

export const destroyVmInstance = defineApi({
  name: 'DestroyVmInstance',
  message: 'org.zstack.header.vm.APIDestroyVmInstanceMsg',
  method: 'DELETE',
  path: '/vm-instances/{uuid}',
  summary: 'Delete a VM; it can be recovered until it is expunged.',
  input: {
    uuid: ref('VmInstanceVO', 'Uuid of the vm.', { successIfMissing: true }),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const recoverVmInstance = defineApi({
  name: 'RecoverVmInstance',
  message: 'org.zstack.header.vm.APIRecoverVmInstanceMsg',
  method: 'PUT',
  path: '/vm-instances/{uuid}/actions',
  summary: 'Take the deletion of a VM back.',
  input: {
    uuid: ref('VmInstanceVO', 'Uuid of the vm.'),
  },
  output: {
    inventory: inventory(vmInstance),
  },
})

export const expungeVmInstance = defineApi({
  name: 'ExpungeVmInstance',
  message: 'org.zstack.header.vm.APIExpungeVmInstanceMsg',
  method: 'PUT',
  path: '/vm-instances/{uuid}/actions',
  summary: 'Remove a deleted VM for good.',
  input: {
    uuid: ref('VmInstanceVO', 'Uuid of the vm.'),
  },
})
