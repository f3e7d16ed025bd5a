import type { Migration } from '#db'

export const zoneMigrations: readonly Migration[] = [
  {
    id: '0014-zone',
    create: [
      {
        name: 'ZoneVO',
        columns: {
          uuid: 'uuid',
          name: 'string',
          description: 'text?',
          state: 'word',
          type: 'word',
          isDefault: 'boolean?',
          createDate: 'time',
          lastOpDate: 'time',
        },
        primaryKey: ['uuid'],
        indexes: [['name']],
      },
    ],
  },
]
