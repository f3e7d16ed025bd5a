import type { Migration } from '#db'

export const offeringMigrations: readonly Migration[] = [
  {
    id: '0018-offering',
    create: [
      {
        name: 'InstanceOfferingVO',
        columns: {
          uuid: 'uuid',
          name: 'string',
          description: 'text?',
          cpuNum: 'int',
          cpuSpeed: 'int?',
          memorySize: 'long',
          reservedMemorySize: 'long?',
          type: 'word',
          allocatorStrategy: 'string?',
          sortKey: 'int',
          createDate: 'time',
          lastOpDate: 'time',
          state: 'word',
        },
        primaryKey: ['uuid'],
        indexes: [['name']],
      },
      {
        name: 'DiskOfferingVO',
        columns: {
          uuid: 'uuid',
          name: 'string',
          description: 'text?',
          diskSize: 'long',
          sortKey: 'int',
          state: 'word',
          type: 'word',
          createDate: 'time',
          lastOpDate: 'time',
          allocatorStrategy: 'string?',
        },
        primaryKey: ['uuid'],
        indexes: [['name']],
      },
    ],
  },
]
