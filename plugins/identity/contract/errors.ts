import { defineError } from '#kernel'

export const identityErrors = {
  authentication: defineError('ID.1000', 'Wrong account name or password'),
  invalidSession: defineError('ID.1001', 'The session is invalid'),
  permissionDenied: defineError('ID.1002', 'Permission denied'),
  tooManySessions: defineError('ID.1006', 'Too many sessions'),
} as const
