import { defineError } from '#kernel'

export const networkServiceErrors = {
  attach: defineError('NWS.1000', 'Failed to attach the network service'),
  detach: defineError('NWS.1001', 'Failed to detach the network service'),
} as const
