import { defineResource, long, optional, type Row, text, timestamp } from '#contract'

export const primaryStorage = defineResource({
  name: 'PrimaryStorage',
  className: 'org.zstack.header.storage.primary.PrimaryStorageInventory',
  fields: {
    uuid: text('Uuid of the PrimaryStorage.', { max: 32 }),
    zoneUuid: text('The zone.', { max: 32 }),
    name: text('Name people see.'),
    url: text('Where it lies.'),
    description: optional(text('Free text.')),
    totalCapacity: long('Bytes it can hold.'),
    availableCapacity: long('Bytes not promised to anybody.'),
    totalPhysicalCapacity: long('Bytes of the file system.'),
    availablePhysicalCapacity: long('Free bytes of the file system.'),
    systemUsedCapacity: optional(long('Bytes used by others; absent.')),
    type: text('LocalStorage or SimulatorPrimaryStorage.'),
    state: text('Administrative state.'),
    status: text('What the system found.'),
    mountPath: optional(text('Directory on the hosts.')),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
  relations: {
    zone: { to: 'ZoneInventory', column: 'zoneUuid', otherColumn: 'uuid' },
    volume: { to: 'VolumeInventory', column: 'uuid', otherColumn: 'primaryStorageUuid' },
    volumeSnapshot: { to: 'VolumeSnapshotInventory', column: 'uuid', otherColumn: 'primaryStorageUuid' },
    clusterRef: {
      to: 'PrimaryStorageClusterRefInventory',
      column: 'uuid',
      otherColumn: 'primaryStorageUuid',
    },
    attachedClusterUuids: {
      to: 'PrimaryStorageClusterRefInventory',
      column: 'uuid',
      otherColumn: 'primaryStorageUuid',
      embedded: true,
      pluck: 'clusterUuid',
    },
  },
  aliases: { cluster: 'clusterRef.cluster' },
})
export type PrimaryStorage = Row<typeof primaryStorage>

export const primaryStorageClusterRef = defineResource({
  name: 'PrimaryStorageClusterRef',
  className: 'org.zstack.header.storage.primary.PrimaryStorageClusterRefInventory',
  primaryKey: 'primaryStorageUuid',
  fields: {
    id: optional(long('Number of the row.')),
    clusterUuid: text('The cluster.', { max: 32 }),
    primaryStorageUuid: text('The primary storage.', { max: 32 }),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
  relations: {
    cluster: { to: 'ClusterInventory', column: 'clusterUuid', otherColumn: 'uuid' },
    primaryStorage: { to: 'PrimaryStorageInventory', column: 'primaryStorageUuid', otherColumn: 'uuid' },
  },
})
export type PrimaryStorageClusterRef = Row<typeof primaryStorageClusterRef>
