import { defineError } from '#kernel'

export const l3Errors = {
  allocateIp: defineError('L3.1000', 'Failed to allocate an IP address'),
} as const
