import { defineResource, int, optional, type Row, text } from '#contract'
import { backupStorage } from '#plugins/backup-storage/contract/resources.ts'

export const sftpBackupStorage = defineResource({
  name: 'SftpBackupStorage',
  className: 'org.zstack.storage.backup.sftp.SftpBackupStorageInventory',
  hidden: ['hostKey', 'agentPort', 'agentVersion'],
  parent: { resource: backupStorage, typeColumn: 'type', type: 'SftpBackupStorage' },
  fields: {
    uuid: text('Uuid of the SftpBackupStorage.', { max: 32 }),
    hostname: text('Hostname.'),
    username: text('SSH user.'),
    sshPort: int('SSH port.'),
    hostKey: optional(text('Host key.')),
    agentPort: optional(int('Agent port.')),
    agentVersion: optional(text('Agent version.')),
  },
})
export type SftpBackupStorage = Row<typeof sftpBackupStorage>
