import type { Migration } from '#db'

export const globalConfigMigrations: readonly Migration[] = [
  {
    id: '0011-global-config',
    create: [
      {
        name: 'GlobalConfigVO',
        columns: {
          id: 'long',
          name: 'string',
          category: 'word',
          description: 'text?',
          defaultValue: 'string',
          value: 'string',
        },
        primaryKey: ['id'],
        unique: [['category', 'name']],
        indexes: [['name']],
      },
    ],
  },
]
