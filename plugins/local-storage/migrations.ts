import type { Migration } from '#db'

export const localStorageMigrations: readonly Migration[] = [
  {
    id: '0020-local-storage',
    create: [
      {
        name: 'LocalStorageResourceRefVO',
        columns: {
          resourceUuid: 'uuid',
          primaryStorageUuid: 'uuid',
          hostUuid: 'uuid',
          size: 'long',
          resourceType: 'string',
          createDate: 'time',
          lastOpDate: 'time',
        },
        primaryKey: ['resourceUuid', 'hostUuid'],
        indexes: [['resourceUuid'], ['primaryStorageUuid'], ['hostUuid']],
      },
      {
        name: 'LocalStorageHostRefVO',
        columns: {
          primaryStorageUuid: 'uuid',
          hostUuid: 'uuid',
          totalCapacity: 'long',
          availableCapacity: 'long',
          totalPhysicalCapacity: 'long',
          availablePhysicalCapacity: 'long',
          createDate: 'time',
          lastOpDate: 'time',
        },
        primaryKey: ['primaryStorageUuid', 'hostUuid'],
        indexes: [['primaryStorageUuid'], ['hostUuid']],
      },
      {
        name: 'LocalStorageImageCacheVO',
        columns: {
          imageUuid: 'uuid',
          primaryStorageUuid: 'uuid',
          hostUuid: 'uuid',
          installPath: 'text',
          size: 'long',
          createDate: 'time',
        },
        primaryKey: ['imageUuid', 'primaryStorageUuid', 'hostUuid'],
        indexes: [['hostUuid']],
      },
    ],
  },
]
