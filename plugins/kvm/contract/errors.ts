import { defineError } from '#kernel'

export const kvmErrors = {
  connection: defineError('HOST.1003', 'The connection to the host failed'),
} as const
