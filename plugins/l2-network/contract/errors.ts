import { defineError } from '#kernel'

export const l2Errors = {
  attach: defineError('L2.1000', 'Failed to attach the L2 network to the cluster'),
} as const
