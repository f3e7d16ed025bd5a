import type { Migration } from '#db'

export const kvmMigrations: readonly Migration[] = [
  {
    id: '0017-kvm',
    create: [
      {
        name: 'KVMHostVO',
        columns: {
          uuid: 'uuid',
          username: 'string',
          sshPort: 'int',
          osDistribution: 'string?',
          osRelease: 'string?',
          osVersion: 'string?',
          sealedPassword: 'text',
          hostKey: 'string?',
          agentPort: 'int?',
          acceleration: 'string?',
          agentVersion: 'string?',
          bootId: 'string?',
        },
        primaryKey: ['uuid'],
      },
    ],
  },
]
