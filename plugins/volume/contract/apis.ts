import {
  anything,
  choice,
  defineApi,
  defineQuery,
  inventory,
  list,
  long,
  optional,
  ref,
  text,
} from '#contract'
import { volume } from './resources.ts'

export const createDataVolume = defineApi({
  name: 'CreateDataVolume',
  message: 'org.zstack.header.volume.APICreateDataVolumeMsg',
  path: '/volumes/data',
  summary: 'Create an empty data volume.',
  input: {
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    diskOfferingUuid: optional(ref('DiskOfferingVO', 'Size of the disk, as an offering.')),
    diskSize: optional(long('Size in bytes.')),
    primaryStorageUuid: optional(ref('PrimaryStorageVO', 'The primary storage.')),
  },
  output: {
    inventory: inventory(volume),
  },
})

export const updateVolume = defineApi({
  name: 'UpdateVolume',
  message: 'org.zstack.header.volume.APIUpdateVolumeMsg',
  method: 'PUT',
  path: '/volumes/{uuid}/actions',
  summary: 'Change name or description of a volume.',
  input: {
    uuid: ref('VolumeVO', 'Uuid of the volume.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
  },
  output: {
    inventory: inventory(volume),
  },
})

export const changeVolumeState = defineApi({
  name: 'ChangeVolumeState',
  message: 'org.zstack.header.volume.APIChangeVolumeStateMsg',
  method: 'PUT',
  path: '/volumes/{uuid}/actions',
  summary: 'Enable or disable a volume.',
  input: {
    uuid: ref('VolumeVO', 'Uuid of the volume.'),
    stateEvent: choice('What to do with the state.', ['enable', 'disable']),
  },
  output: {
    inventory: inventory(volume),
  },
})

export const queryVolume = defineQuery({
  name: 'QueryVolume',
  message: 'org.zstack.header.volume.APIQueryVolumeMsg',
  path: '/volumes',
  resource: volume,
})

export const getVolumeFormat = defineApi({
  name: 'GetVolumeFormat',
  message: 'org.zstack.header.volume.APIGetVolumeFormatMsg',
  kind: 'sync',
  method: 'GET',
  path: '/volumes/formats',
  summary: 'Formats of volumes and who reads them.',
  input: {},
  output: {
    formats: optional(list('Formats with the hypervisors that read them.', anything('One of them.'))),
  },
})
