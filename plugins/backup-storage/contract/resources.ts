import { defineResource, long, optional, type Row, text, timestamp } from '#contract'

export const backupStorage = defineResource({
  name: 'BackupStorage',
  className: 'org.zstack.header.storage.backup.BackupStorageInventory',
  fields: {
    uuid: text('Uuid of the backup storage.', { max: 32 }),
    name: text('Name people see.'),
    url: text('Directory on the server that holds the images.'),
    description: optional(text('Free text.')),
    totalCapacity: long('Bytes it can hold.'),
    availableCapacity: long('Bytes free, as the server said last.'),
    type: text('How it is reached: SftpBackupStorage.'),
    state: text('Enabled or Disabled; a disabled one neither takes nor gives images.'),
    status: text('Connecting, Connected or Disconnected.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
  relations: {
    zoneRef: { to: 'BackupStorageZoneRefInventory', column: 'uuid', otherColumn: 'backupStorageUuid' },
    imageRef: { to: 'ImageBackupStorageRefInventory', column: 'uuid', otherColumn: 'backupStorageUuid' },
    volumeSnapshotRef: {
      to: 'VolumeSnapshotBackupStorageRefInventory',
      column: 'uuid',
      otherColumn: 'backupStorageUuid',
    },
    attachedZoneUuids: {
      to: 'BackupStorageZoneRefInventory',
      column: 'uuid',
      otherColumn: 'backupStorageUuid',
      embedded: true,
      pluck: 'zoneUuid',
    },
  },
  aliases: {
    zone: 'zoneRef.zone',
    image: 'imageRef.image',
    volumeSnapshot: 'volumeSnapshotRef.volumeSnapshot',
  },
})
export type BackupStorage = Row<typeof backupStorage>

export const backupStorageZoneRef = defineResource({
  name: 'BackupStorageZoneRef',
  className: 'org.zstack.header.storage.backup.BackupStorageZoneRefInventory',
  primaryKey: 'backupStorageUuid',
  fields: {
    id: optional(long('Number of the row.')),
    backupStorageUuid: text('The backup storage.', { max: 32 }),
    zoneUuid: text('The zone.', { max: 32 }),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
  relations: {
    zone: { to: 'ZoneInventory', column: 'zoneUuid', otherColumn: 'uuid' },
    backupStorage: { to: 'BackupStorageInventory', column: 'backupStorageUuid', otherColumn: 'uuid' },
  },
})
export type BackupStorageZoneRef = Row<typeof backupStorageZoneRef>
