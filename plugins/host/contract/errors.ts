import { defineError } from '#kernel'

export const hostErrors = {
  unableToAdd: defineError('HOST.1000', 'Failed to add the host'),
  unableToMaintain: defineError('HOST.1001', 'The host cannot enter maintenance'),
  unableToReconnect: defineError('HOST.1002', 'Failed to reconnect the host'),
  isDisconnected: defineError('HOST.1010', 'The host is disconnected'),
  noAvailableHost: defineError('HOST_ALLOCATION.1000', 'No available host'),
} as const
