import {
  bool,
  choice,
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

/** An address or a name, never something a program could take for an option. */
const serverName = /^[A-Za-z0-9_:][\w.:-]*$/

export const addSftpBackupStorage = defineApi({
  name: 'AddSftpBackupStorage',
  message: 'org.zstack.storage.backup.sftp.APIAddSftpBackupStorageMsg',
  path: '/backup-storage/sftp',
  summary: 'Add an image server: deploy its agent over SSH, connect.',
  input: {
    hostname: text('IP address or name of the server.', {
      max: 255,
      notEmpty: true,
      pattern: serverName,
    }),
    username: text('SSH user.', { max: 255, notEmpty: true }),
    password: secret(text('SSH password; stored encrypted, for reconnects.', { max: 255, noTrim: true })),
    sshPort: withDefault(int('SSH port.', [1, 65535]), 22),
    url: text('Absolute directory on the server that holds the images.', {
      max: 1024,
      pattern: /^\/[\w./-]+$/,
    }),
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    type: optional(choice('Only this one.', ['SftpBackupStorage'])),
    importImages: optional(bool('Take over images that lie there already; not possible yet.')),
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
    password: optional(
      secret(text('SSH password; stored encrypted, for reconnects.', { max: 255, noTrim: true })),
    ),
    hostname: optional(text('IP address or name of the server.', { max: 255, pattern: serverName })),
    sshPort: optional(int('SSH port.', [1, 65535])),
    uuid: ref('SftpBackupStorageVO', 'Uuid of the backup storage.'),
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
    uuid: ref('SftpBackupStorageVO', 'Uuid of the backup storage.'),
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
