import {
  bool,
  choice,
  defineApi,
  defineQuery,
  inventory,
  long,
  optional,
  ref,
  refs,
  text,
  withDefault,
} from '#contract'
import { primaryStorage } from './resources.ts'

export const updatePrimaryStorage = defineApi({
  name: 'UpdatePrimaryStorage',
  message: 'org.zstack.header.storage.primary.APIUpdatePrimaryStorageMsg',
  method: 'PUT',
  path: '/primary-storage/{uuid}/actions',
  summary: 'Change name or description of a primary storage.',
  input: {
    uuid: ref('PrimaryStorageVO', 'Uuid of the primary-storage.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
    url: optional(text('Where it lies.')),
  },
  output: {
    inventory: inventory(primaryStorage),
  },
})

export const changePrimaryStorageState = defineApi({
  name: 'ChangePrimaryStorageState',
  message: 'org.zstack.header.storage.primary.APIChangePrimaryStorageStateMsg',
  method: 'PUT',
  path: '/primary-storage/{uuid}/actions',
  summary: 'Enable, disable or maintain a primary storage.',
  input: {
    uuid: ref('PrimaryStorageVO', 'Uuid of the primary-storage.'),
    stateEvent: choice('What to do with the state.', ['enable', 'disable', 'maintain', 'deleting']),
  },
  output: {
    inventory: inventory(primaryStorage),
  },
})

export const reconnectPrimaryStorage = defineApi({
  name: 'ReconnectPrimaryStorage',
  message: 'org.zstack.header.storage.primary.APIReconnectPrimaryStorageMsg',
  method: 'PUT',
  path: '/primary-storage/{uuid}/actions',
  summary: 'Connect a primary storage again.',
  input: {
    uuid: ref('PrimaryStorageVO', 'Uuid of the primary-storage.'),
  },
  output: {
    inventory: inventory(primaryStorage),
  },
})

export const deletePrimaryStorage = defineApi({
  name: 'DeletePrimaryStorage',
  message: 'org.zstack.header.storage.primary.APIDeletePrimaryStorageMsg',
  method: 'DELETE',
  path: '/primary-storage/{uuid}',
  summary: 'Remove a primary storage that holds no volumes.',
  input: {
    uuid: ref('PrimaryStorageVO', 'Uuid of the primary-storage.', { successIfMissing: true }),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const queryPrimaryStorage = defineQuery({
  name: 'QueryPrimaryStorage',
  message: 'org.zstack.header.storage.primary.APIQueryPrimaryStorageMsg',
  path: '/primary-storage',
  optionalPaths: [],
  resource: primaryStorage,
})

export const getPrimaryStorageCapacity = defineApi({
  name: 'GetPrimaryStorageCapacity',
  message: 'org.zstack.header.storage.primary.APIGetPrimaryStorageCapacityMsg',
  kind: 'sync',
  method: 'GET',
  path: '/primary-storage/capacities',
  summary: 'Space of primary storages, in all and free.',
  input: {
    zoneUuids: optional(refs('ZoneVO', 'Only these zones.')),
    clusterUuids: optional(refs('ClusterVO', 'Only these clusters.')),
    primaryStorageUuids: optional(refs('PrimaryStorageVO', 'Only these primary storages.')),
    all: optional(bool('Everything, whatever else is given.')),
  },
  output: {
    totalCapacity: optional(long('Bytes it can hold.')),
    availableCapacity: optional(long('Bytes not promised to anybody.')),
    totalPhysicalCapacity: optional(long('Bytes of the file system.')),
    availablePhysicalCapacity: optional(long('Free bytes of the file system.')),
  },
})
