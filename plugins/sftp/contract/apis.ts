import {
  bool,
  defineApi,
  defineQuery,
  int,
  inventory,
  optional,
  ref,
  secret,
  text,
  withDefault,
} from '#contract'
import { backupStorage } from '#plugins/backup-storage/contract/resources.ts'
import { sftpBackupStorage } from './resources.ts'

export const addSftpBackupStorage = defineApi({
  name: 'AddSftpBackupStorage',
  message: 'org.zstack.storage.backup.sftp.APIAddSftpBackupStorageMsg',
  path: '/backup-storage/sftp',
  summary: 'Add an image server: deploy its agent over SSH, connect.',
  input: {
    hostname: text('Hostname.', { max: 255, notEmpty: true }),
    username: text('SSH user.', { max: 255 }),
    password: secret(text('SSH password; used once, never stored in clear.', { max: 255 })),
    sshPort: withDefault(int('SSH port.', [1, 65535]), 22),
    url: text('Where it lies.', { notEmpty: true }),
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    type: optional(text('Type.')),
    importImages: optional(bool('Import images.')),
  },
  output: {
    inventory: inventory(backupStorage),
  },
})

export const updateSftpBackupStorage = defineApi({
  name: 'UpdateSftpBackupStorage',
  message: 'org.zstack.storage.backup.sftp.APIUpdateSftpBackupStorageMsg',
  reply: 'org.zstack.header.storage.backup.APIUpdateBackupStorageEvent',
  method: 'PUT',
  path: '/backup-storage/sftp/{uuid}/actions',
  summary: 'Change an image server, its SSH account included.',
  input: {
    username: optional(text('SSH user.', { max: 255 })),
    password: optional(secret(text('SSH password; used once, never stored in clear.', { max: 255 }))),
    hostname: optional(text('Hostname.', { max: 255 })),
    sshPort: optional(int('SSH port.', [1, 65535])),
    uuid: ref('BackupStorageVO', 'Uuid of the sftp.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
  },
  output: {
    inventory: inventory(backupStorage),
  },
})

export const reconnectSftpBackupStorage = defineApi({
  name: 'ReconnectSftpBackupStorage',
  message: 'org.zstack.storage.backup.sftp.APIReconnectSftpBackupStorageMsg',
  method: 'PUT',
  path: '/backup-storage/sftp/{uuid}/actions',
  summary: 'Connect an image server again.',
  input: {
    uuid: ref('SftpBackupStorageVO', 'Uuid of the sftp.'),
  },
  output: {
    inventory: inventory(sftpBackupStorage),
  },
})

export const querySftpBackupStorage = defineQuery({
  name: 'QuerySftpBackupStorage',
  message: 'org.zstack.storage.backup.sftp.APIQuerySftpBackupStorageMsg',
  path: '/backup-storage/sftp',
  resource: sftpBackupStorage,
})
