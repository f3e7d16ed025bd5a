import { bool, defineResource, long, optional, type Row, text, timestamp } from '#contract'

export const image = defineResource({
  name: 'Image',
  className: 'org.zstack.header.image.ImageInventory',
  hidden: ['sha256', 'accountUuid', 'deletedAt'],
  fields: {
    uuid: text('Uuid of the image.', { max: 32 }),
    name: text('Name people see.'),
    description: optional(text('Free text.')),
    state: text('Enabled or Disabled; a disabled one makes no new volumes.'),
    status: text('Downloading, Ready or Deleted.'),
    size: long('Size of the disk a guest sees, in bytes.'),
    actualSize: long('Size of the file, in bytes.'),
    md5Sum: optional(text('Not computed; files are known by their sha256.')),
    url: text('Where it came from, without credentials.'),
    mediaType: text('RootVolumeTemplate, DataVolumeTemplate or ISO.'),
    guestOsType: optional(text('Operating system, for people.')),
    type: optional(text('Always zstack.')),
    platform: optional(text('Linux, Windows or Other; decides the devices.')),
    architecture: optional(text('CPU architecture.')),
    format: text('qcow2, raw or iso.'),
    system: bool('Made by the system for itself.'),
    virtio: bool('The guest has virtio drivers.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
    sha256: optional(text('Checksum of the file.')),
    accountUuid: optional(text('The account.', { max: 32 })),
    deletedAt: optional(timestamp('When it was deleted, while it can be recovered.')),
  },
  relations: {
    backupStorageRef: { to: 'ImageBackupStorageRefInventory', column: 'uuid', otherColumn: 'imageUuid' },
    volume: { to: 'VolumeInventory', column: 'uuid', otherColumn: 'rootImageUuid' },
    backupStorageRefs: {
      to: 'ImageBackupStorageRefInventory',
      column: 'uuid',
      otherColumn: 'imageUuid',
      embedded: true,
    },
  },
  aliases: { backupStorage: 'backupStorageRef.backupStorage' },
})
export type Image = Row<typeof image>

export const imageBackupStorageRef = defineResource({
  name: 'ImageBackupStorageRef',
  className: 'org.zstack.header.image.ImageBackupStorageRefInventory',
  primaryKey: 'imageUuid',
  hidden: ['id'],
  fields: {
    imageUuid: text('The image.', { max: 32 }),
    backupStorageUuid: text('The backup storage.', { max: 32 }),
    installPath: text('Where it lies on the storage.'),
    status: text('Downloading, Ready or Deleted.'),
    exportMd5Sum: optional(text('Checksum of an exported copy; absent.')),
    exportUrl: optional(text('Where an exported copy lies; absent.')),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
    id: optional(long('Number of the row.')),
  },
  relations: {
    image: { to: 'ImageInventory', column: 'imageUuid', otherColumn: 'uuid' },
    backupStorage: { to: 'BackupStorageInventory', column: 'backupStorageUuid', otherColumn: 'uuid' },
  },
})
export type ImageBackupStorageRef = Row<typeof imageBackupStorageRef>

export const imageCache = defineResource({
  name: 'ImageCache',
  className: 'org.zstack.header.storage.primary.ImageCacheInventory',
  fields: {
    id: optional(long('Number of the row.')),
    primaryStorageUuid: text('The primary storage.', { max: 32 }),
    imageUuid: text('The image.', { max: 32 }),
    installUrl: optional(text('Where the image lies on the storage, as a URL; absent.')),
    mediaType: text('RootVolumeTemplate, DataVolumeTemplate or ISO.'),
    size: long('Size in bytes.'),
    md5sum: optional(text('Not computed; the sha256 is.')),
    state: text('Administrative state.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
    uuid: text('Uuid of the ImageCache.', { max: 32 }),
    hostUuid: optional(text('The host.', { max: 32 })),
    installPath: text('Where it lies on the storage.'),
    format: text('qcow2, raw or iso.'),
  },
})
export type ImageCache = Row<typeof imageCache>
