import {
  choice,
  defineApi,
  defineQuery,
  int,
  inventory,
  long,
  optional,
  ref,
  text,
  withDefault,
} from '#contract'
import { diskOffering } from './resources.ts'

export const createDiskOffering = defineApi({
  name: 'CreateDiskOffering',
  message: 'org.zstack.header.configuration.APICreateDiskOfferingMsg',
  path: '/disk-offerings',
  summary: 'Create an offering of a disk size.',
  input: {
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    diskSize: long('Size in bytes.', [1, Number.MAX_SAFE_INTEGER]),
    sortKey: optional(int('Order in lists.')),
    allocationStrategy: optional(text('How a primary storage is chosen; the default when absent.')),
    type: optional(choice('UserVm for instance offerings, zstack for disk offerings.', ['zstack'])),
  },
  output: {
    inventory: inventory(diskOffering),
  },
})

export const updateDiskOffering = defineApi({
  name: 'UpdateDiskOffering',
  message: 'org.zstack.header.configuration.APIUpdateDiskOfferingMsg',
  method: 'PUT',
  path: '/disk-offerings/{uuid}/actions',
  summary: 'Change name or description of a disk offering.',
  input: {
    uuid: ref('DiskOfferingVO', 'Uuid of the offering.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
  },
  output: {
    inventory: inventory(diskOffering),
  },
})

export const changeDiskOfferingState = defineApi({
  name: 'ChangeDiskOfferingState',
  message: 'org.zstack.header.configuration.APIChangeDiskOfferingStateMsg',
  method: 'PUT',
  path: '/disk-offerings/{uuid}/actions',
  summary: 'Enable or disable a disk offering.',
  input: {
    uuid: ref('DiskOfferingVO', 'Uuid of the offering.'),
    stateEvent: choice('What to do with the state.', ['enable', 'disable']),
  },
  output: {
    inventory: inventory(diskOffering),
  },
})

export const deleteDiskOffering = defineApi({
  name: 'DeleteDiskOffering',
  message: 'org.zstack.header.configuration.APIDeleteDiskOfferingMsg',
  method: 'DELETE',
  path: '/disk-offerings/{uuid}',
  summary: 'Delete a disk offering; volumes made from it stay.',
  input: {
    uuid: ref('DiskOfferingVO', 'Uuid of the offering.', { successIfMissing: true }),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const queryDiskOffering = defineQuery({
  name: 'QueryDiskOffering',
  message: 'org.zstack.header.configuration.APIQueryDiskOfferingMsg',
  path: '/disk-offerings',
  resource: diskOffering,
})
