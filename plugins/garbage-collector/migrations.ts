import type { Migration } from '#db'

export const garbageCollectorMigrations: readonly Migration[] = [
  {
    id: '0035-garbage-collector',
    create: [
      {
        name: 'GarbageCollectorVO',
        columns: {
          uuid: 'uuid',
          name: 'text',
          runnerClass: 'word',
          context: 'json',
          status: 'word',
          managementNodeUuid: 'uuid?',
          type: 'word',
          hostUuid: 'uuid?',
          tries: 'int',
          lastError: 'text?',
          nextTryDate: 'time',
          createDate: 'time',
          lastOpDate: 'time',
          subject: 'string',
          sealed: 'json?',
          address: 'string?',
          submissions: 'long',
        },
        primaryKey: ['uuid'],
        indexes: [['runnerClass', 'subject'], ['hostUuid'], ['address']],
      },
    ],
  },
]
