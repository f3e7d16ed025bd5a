import type { Migration } from '#db'

export const backupStorageMigrations: readonly Migration[] = [
  {
    id: '0021-backup-storage',
    create: [
      {
        name: 'BackupStorageVO',
        columns: {
          uuid: 'uuid',
          name: 'string',
          url: 'text',
          description: 'text?',
          totalCapacity: 'long',
          availableCapacity: 'long',
          type: 'word',
          state: 'word',
          status: 'word',
          createDate: 'time',
          lastOpDate: 'time',
        },
        primaryKey: ['uuid'],
        indexes: [['name']],
      },
      {
        name: 'BackupStorageZoneRefVO',
        columns: {
          id: 'long?',
          backupStorageUuid: 'uuid',
          zoneUuid: 'uuid',
          createDate: 'time',
          lastOpDate: 'time',
        },
        primaryKey: ['backupStorageUuid', 'zoneUuid'],
        indexes: [['backupStorageUuid'], ['zoneUuid']],
      },
    ],
  },
]
