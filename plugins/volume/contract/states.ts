/** What is there of a volume. */
export const volumeStatus = {
  notInstantiated: 'NotInstantiated',
  creating: 'Creating',
  ready: 'Ready',
  deleted: 'Deleted',
} as const
