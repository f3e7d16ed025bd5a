import { defineError } from '#kernel'

export const sftpErrors = {
  reconnect: defineError('BS.SFTP.1000', 'Failed to reconnect the backup storage'),
} as const
