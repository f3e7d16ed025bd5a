import { defineResource, int, optional, type Row, text } from '#contract'
import { backupStorage } from '#plugins/backup-storage/contract/resources.ts'

export const sftpBackupStorage = defineResource({
  name: 'SftpBackupStorage',
  className: 'org.zstack.storage.backup.sftp.SftpBackupStorageInventory',
  hidden: ['sealedPassword', 'hostKey', 'agentPort', 'agentVersion'],
  parent: { resource: backupStorage, typeColumn: 'type', type: 'SftpBackupStorage' },
  fields: {
    uuid: text('Uuid of the backup storage.', { max: 32 }),
    hostname: text('Address of the image server.'),
    username: text('SSH user.'),
    sshPort: int('SSH port.'),
    sealedPassword: text('SSH password, encrypted under the key of the data directory.'),
    hostKey: optional(text('Fingerprint of the SSH key the server showed first; it must show no other.')),
    agentPort: optional(int('Port the agent listens on.')),
    agentVersion: optional(text('Hash of the agent bundle deployed last.')),
  },
})
export type SftpBackupStorage = Row<typeof sftpBackupStorage>
