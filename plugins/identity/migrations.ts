import type { Migration } from '#db'

export const identityMigrations: readonly Migration[] = [
  {
    id: '0010-identity',
    create: [
      {
        name: 'AccountVO',
        columns: {
          uuid: 'uuid',
          name: 'string',
          description: 'text?',
          type: 'word',
          createDate: 'time',
          lastOpDate: 'time',
          password: 'string',
        },
        primaryKey: ['uuid'],
        unique: [['name']],
      },
      {
        name: 'SessionVO',
        columns: {
          uuid: 'uuid',
          accountUuid: 'uuid',
          userUuid: 'uuid',
          userType: 'string?',
          expiredDate: 'time',
          createDate: 'time',
          noSessionEvaluation: 'boolean?',
        },
        primaryKey: ['uuid'],
        indexes: [['accountUuid']],
      },
    ],
  },
]
