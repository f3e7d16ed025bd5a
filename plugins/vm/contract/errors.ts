import { defineError } from '#kernel'

export const vmErrors = {
  create: defineError('VM.1000', 'Failed to create the VM'),
  start: defineError('VM.1001', 'Failed to start the VM'),
  stop: defineError('VM.1002', 'Failed to stop the VM'),
  migrate: defineError('VM.1008', 'Failed to migrate the VM'),
  allocateMac: defineError('VM.1009', 'No free MAC address'),
  wrongState: defineError('VM.1010', 'The VM is not in the right state'),
} as const
