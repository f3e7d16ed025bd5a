import { defineError } from '#kernel'

export const backupStorageErrors = {
  download: defineError('BS.1000', 'Failed to download the image to the backup storage'),
  attach: defineError('BS.1001', 'Failed to attach the backup storage to the zone'),
  detach: defineError('BS.1002', 'Failed to detach the backup storage from the zone'),
  allocate: defineError('BS.1003', 'The backup storage has no room'),
} as const
