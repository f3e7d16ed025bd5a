import { defineError } from '#kernel'

export const volumeErrors = {
  inUse: defineError('VOLUME.1000', 'The volume is in use'),
  wrongState: defineError('VOLUME.1002', 'The volume is not in the right state'),
} as const
