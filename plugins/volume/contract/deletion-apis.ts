import { defineApi, inventory, ref, text, withDefault } from '#contract'
import { volume } from './resources.ts'

export const deleteDataVolume = defineApi({
  name: 'DeleteDataVolume',
  message: 'org.zstack.header.volume.APIDeleteDataVolumeMsg',
  method: 'DELETE',
  path: '/volumes/{uuid}',
  summary: 'Delete a data volume; it can be recovered until it is expunged.',
  input: {
    uuid: ref('VolumeVO', 'Uuid of the volume.', { successIfMissing: true }),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const recoverDataVolume = defineApi({
  name: 'RecoverDataVolume',
  message: 'org.zstack.header.volume.APIRecoverDataVolumeMsg',
  method: 'PUT',
  path: '/volumes/{uuid}/actions',
  summary: 'Take the deletion of a data volume back.',
  input: {
    uuid: ref('VolumeVO', 'Uuid of the volume.'),
  },
  output: {
    inventory: inventory(volume),
  },
})

export const expungeDataVolume = defineApi({
  name: 'ExpungeDataVolume',
  message: 'org.zstack.header.volume.APIExpungeDataVolumeMsg',
  method: 'PUT',
  path: '/volumes/{uuid}/actions',
  summary: 'Remove a deleted data volume for good.',
  input: {
    uuid: ref('VolumeVO', 'Uuid of the volume.', { successIfMissing: true }),
  },
})
