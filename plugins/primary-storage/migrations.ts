import type { Migration } from '#db'

export const primaryStorageMigrations: readonly Migration[] = [
  {
    id: '0019-primary-storage',
    create: [
      {
        name: 'PrimaryStorageVO',
        columns: {
          uuid: 'uuid',
          zoneUuid: 'uuid',
          name: 'string',
          url: 'text',
          description: 'text?',
          totalCapacity: 'long',
          availableCapacity: 'long',
          totalPhysicalCapacity: 'long',
          availablePhysicalCapacity: 'long',
          systemUsedCapacity: 'long?',
          type: 'word',
          state: 'word',
          status: 'word',
          mountPath: 'string?',
          createDate: 'time',
          lastOpDate: 'time',
        },
        primaryKey: ['uuid'],
        indexes: [['zoneUuid'], ['name']],
      },
      {
        name: 'PrimaryStorageClusterRefVO',
        columns: {
          id: 'long?',
          clusterUuid: 'uuid',
          primaryStorageUuid: 'uuid',
          createDate: 'time',
          lastOpDate: 'time',
        },
        primaryKey: ['primaryStorageUuid', 'clusterUuid'],
        indexes: [['clusterUuid'], ['primaryStorageUuid']],
      },
    ],
  },
]
