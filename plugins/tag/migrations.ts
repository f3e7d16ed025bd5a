import type { Migration } from '#db'

export const tagMigrations: readonly Migration[] = [
  {
    id: '0012-tag',
    create: [
      {
        name: 'UserTagVO',
        columns: {
          uuid: 'uuid',
          resourceUuid: 'uuid',
          resourceType: 'string',
          tag: 'string',
          type: 'word',
          createDate: 'time',
          lastOpDate: 'time',
          tagPatternUuid: 'uuid?',
          tagPattern: 'string?',
        },
        primaryKey: ['uuid'],
        indexes: [['resourceUuid'], ['tagPatternUuid'], ['tag']],
      },
      {
        name: 'SystemTagVO',
        columns: {
          uuid: 'uuid',
          resourceUuid: 'uuid',
          resourceType: 'string',
          tag: 'string',
          type: 'word',
          createDate: 'time',
          lastOpDate: 'time',
          inherent: 'boolean',
        },
        primaryKey: ['uuid'],
        indexes: [['resourceUuid'], ['tag']],
      },
    ],
  },
]
