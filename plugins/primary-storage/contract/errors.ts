import { defineError } from '#kernel'

export const primaryStorageErrors = {
  allocate: defineError('PS.1000', 'No primary storage has the space'),
  attach: defineError('PS.1001', 'Failed to attach the primary storage'),
  detach: defineError('PS.1002', 'Failed to detach the primary storage'),
  disconnected: defineError('PS.1003', 'The primary storage is disconnected'),
} as const
