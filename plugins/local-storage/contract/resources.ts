import { defineResource, long, type Row, text, timestamp } from '#contract'

export const localStorageResourceRef = defineResource({
  name: 'LocalStorageResourceRef',
  className: 'org.zstack.storage.primary.local.LocalStorageResourceRefInventory',
  primaryKey: 'resourceUuid',
  fields: {
    resourceUuid: text('The resource.', { max: 32 }),
    primaryStorageUuid: text('The primary storage.', { max: 32 }),
    hostUuid: text('The host.', { max: 32 }),
    size: long('Size in bytes.'),
    resourceType: text('Kind of resource, VmInstanceVO.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
  relations: {
    volume: { to: 'VolumeInventory', column: 'resourceUuid', otherColumn: 'uuid' },
    image: { to: 'ImageInventory', column: 'resourceUuid', otherColumn: 'uuid' },
    snapshot: { to: 'VolumeSnapshotInventory', column: 'resourceUuid', otherColumn: 'uuid' },
    host: { to: 'HostInventory', column: 'hostUuid', otherColumn: 'uuid' },
  },
})
export type LocalStorageResourceRef = Row<typeof localStorageResourceRef>

export const localStorageHostRef = defineResource({
  name: 'LocalStorageHostRef',
  className: 'org.zstack.storage.primary.local.LocalStorageHostRefInventory',
  primaryKey: 'primaryStorageUuid',
  fields: {
    primaryStorageUuid: text('The primary storage.', { max: 32 }),
    hostUuid: text('The host.', { max: 32 }),
    totalCapacity: long('Bytes it can hold.'),
    availableCapacity: long('Bytes not promised to anybody.'),
    totalPhysicalCapacity: long('Bytes of the file system.'),
    availablePhysicalCapacity: long('Free bytes of the file system.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
  relations: {
    host: { to: 'HostInventory', column: 'hostUuid', otherColumn: 'uuid' },
    primaryStorage: { to: 'PrimaryStorageInventory', column: 'primaryStorageUuid', otherColumn: 'uuid' },
  },
})
export type LocalStorageHostRef = Row<typeof localStorageHostRef>

/** An image a host has on its disk, for VMs made from it to share. */
export const localImageCache = defineResource({
  name: 'LocalStorageImageCache',
  className: 'org.zstack.storage.primary.local.LocalStorageImageCacheInventory',
  primaryKey: 'imageUuid',
  fields: {
    imageUuid: text('The image.', { max: 32 }),
    primaryStorageUuid: text('The primary storage.', { max: 32 }),
    hostUuid: text('The host.', { max: 32 }),
    installPath: text('Where it lies on the storage.'),
    size: long('Size in bytes.'),
    createDate: timestamp('When it was created.'),
  },
})
export type LocalImageCache = Row<typeof localImageCache>
