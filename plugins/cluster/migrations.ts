import type { Migration } from '#db'

export const clusterMigrations: readonly Migration[] = [
  {
    id: '0015-cluster',
    create: [
      {
        name: 'ClusterVO',
        columns: {
          name: 'string',
          uuid: 'uuid',
          description: 'text?',
          state: 'word',
          hypervisorType: 'word',
          createDate: 'time',
          lastOpDate: 'time',
          zoneUuid: 'uuid',
          type: 'word',
          architecture: 'string?',
        },
        primaryKey: ['uuid'],
        indexes: [['name'], ['zoneUuid']],
      },
    ],
  },
]
