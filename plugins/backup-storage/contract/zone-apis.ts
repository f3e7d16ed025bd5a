import { defineApi, inventory, ref } from '#contract'
import { backupStorage } from './resources.ts'

export const attachBackupStorageToZone = defineApi({
  name: 'AttachBackupStorageToZone',
  message: 'org.zstack.header.storage.backup.APIAttachBackupStorageToZoneMsg',
  path: '/zones/{zoneUuid}/backup-storage/{backupStorageUuid}',
  summary: 'Let a zone use the images of a backup storage.',
  input: {
    zoneUuid: ref('ZoneVO', 'The zone.'),
    backupStorageUuid: ref('BackupStorageVO', 'The backup storage.'),
  },
  output: {
    inventory: inventory(backupStorage),
  },
})

export const detachBackupStorageFromZone = defineApi({
  name: 'DetachBackupStorageFromZone',
  message: 'org.zstack.header.storage.backup.APIDetachBackupStorageFromZoneMsg',
  method: 'DELETE',
  path: '/zones/{zoneUuid}/backup-storage/{backupStorageUuid}',
  summary: 'Take a backup storage away from a zone.',
  input: {
    backupStorageUuid: ref('BackupStorageVO', 'The backup storage.'),
    zoneUuid: ref('ZoneVO', 'The zone.'),
  },
  output: {
    inventory: inventory(backupStorage),
  },
})
