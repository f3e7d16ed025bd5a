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
import { backupStorage } from './resources.ts'

export const updateBackupStorage = defineApi({
  name: 'UpdateBackupStorage',
  message: 'org.zstack.header.storage.backup.APIUpdateBackupStorageMsg',
  method: 'PUT',
  path: '/backup-storage/{uuid}/actions',
  summary: 'Change name or description of a backup storage.',
  input: {
    uuid: ref('BackupStorageVO', 'Uuid of the backup storage.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
  },
  output: {
    inventory: inventory(backupStorage),
  },
})

export const changeBackupStorageState = defineApi({
  name: 'ChangeBackupStorageState',
  message: 'org.zstack.header.storage.backup.APIChangeBackupStorageStateMsg',
  method: 'PUT',
  path: '/backup-storage/{uuid}/actions',
  summary: 'Enable or disable a backup storage.',
  input: {
    uuid: ref('BackupStorageVO', 'Uuid of the backup storage.'),
    stateEvent: choice('What to do with the state.', ['enable', 'disable']),
  },
  output: {
    inventory: inventory(backupStorage),
  },
})

export const reconnectBackupStorage = defineApi({
  name: 'ReconnectBackupStorage',
  message: 'org.zstack.header.storage.backup.APIReconnectBackupStorageMsg',
  method: 'PUT',
  path: '/backup-storage/{uuid}/actions',
  summary: 'Connect a backup storage again.',
  input: {
    uuid: ref('BackupStorageVO', 'Uuid of the backup storage.'),
  },
  output: {
    inventory: inventory(backupStorage),
  },
})

export const deleteBackupStorage = defineApi({
  name: 'DeleteBackupStorage',
  message: 'org.zstack.header.storage.backup.APIDeleteBackupStorageMsg',
  method: 'DELETE',
  path: '/backup-storage/{uuid}',
  summary: 'Remove a backup storage that holds no images.',
  input: {
    uuid: ref('BackupStorageVO', 'Uuid of the backup storage.', { successIfMissing: true }),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to forget the images that are there; their files stay.'),
      'Permissive',
    ),
  },
})

export const queryBackupStorage = defineQuery({
  name: 'QueryBackupStorage',
  message: 'org.zstack.header.storage.backup.APIQueryBackupStorageMsg',
  path: '/backup-storage',
  resource: backupStorage,
})

export const getBackupStorageCapacity = defineApi({
  name: 'GetBackupStorageCapacity',
  message: 'org.zstack.header.storage.backup.APIGetBackupStorageCapacityMsg',
  kind: 'sync',
  method: 'GET',
  path: '/backup-storage/capacities',
  summary: 'Space of backup storages, in all and free.',
  input: {
    zoneUuids: optional(refs('ZoneVO', 'Only backup storages attached to these zones.')),
    backupStorageUuids: optional(refs('BackupStorageVO', 'Only these.')),
    all: optional(bool('Every backup storage, whatever else is given.')),
  },
  output: {
    totalCapacity: optional(long('Bytes they can hold.')),
    availableCapacity: optional(long('Bytes free.')),
  },
})
