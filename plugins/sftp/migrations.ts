import type { Migration } from '#db'

export const sftpMigrations: readonly Migration[] = [
  {
    id: '0022-sftp',
    create: [
      {
        name: 'SftpBackupStorageVO',
        columns: {
          uuid: 'uuid',
          hostname: 'string',
          username: 'string',
          sshPort: 'int',
          sealedPassword: 'text',
          hostKey: 'string?',
          agentPort: 'int?',
          agentVersion: 'string?',
        },
        primaryKey: ['uuid'],
        // One agent for each server.
        unique: [['hostname']],
      },
    ],
  },
]
