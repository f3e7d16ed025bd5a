import { defineApi, inventory, list, optional, ref } from '#contract'
import { vmInstance } from '#plugins/vm/contract/resources.ts'
import { volume } from './resources.ts'

export const attachDataVolumeToVm = defineApi({
  name: 'AttachDataVolumeToVm',
  message: 'org.zstack.header.volume.APIAttachDataVolumeToVmMsg',
  path: '/volumes/{volumeUuid}/vm-instances/{vmInstanceUuid}',
  summary: 'Give a VM a data volume, also while it runs.',
  input: {
    vmInstanceUuid: ref('VmInstanceVO', 'The VM.'),
    volumeUuid: ref('VolumeVO', 'The volume.'),
  },
  output: {
    inventory: inventory(volume),
  },
})

export const detachDataVolumeFromVm = defineApi({
  name: 'DetachDataVolumeFromVm',
  message: 'org.zstack.header.volume.APIDetachDataVolumeFromVmMsg',
  method: 'DELETE',
  path: '/volumes/{uuid}/vm-instances',
  summary: 'Take a data volume from its VM.',
  input: {
    uuid: ref('VolumeVO', 'Uuid of the volume.'),
    vmUuid: optional(ref('VmInstanceVO', 'The VM it is attached to.')),
  },
  output: {
    inventory: inventory(volume),
  },
})

export const getDataVolumeAttachableVm = defineApi({
  name: 'GetDataVolumeAttachableVm',
  message: 'org.zstack.header.volume.APIGetDataVolumeAttachableVmMsg',
  kind: 'sync',
  method: 'GET',
  path: '/volumes/{volumeUuid}/candidate-vm-instances',
  summary: 'VMs a data volume could be attached to.',
  input: {
    volumeUuid: ref('VolumeVO', 'The volume.'),
  },
  output: {
    inventories: optional(list('Result.', inventory(vmInstance))),
  },
})
