/** A Disabled backup storage neither takes nor gives images; what lies there stays. */
export const backupStorageState = { enabled: 'Enabled', disabled: 'Disabled' } as const

/** The state an event leads to, from either state. */
export const backupStorageStateAfter: Readonly<Record<'enable' | 'disable', string>> = {
  enable: backupStorageState.enabled,
  disable: backupStorageState.disabled,
}

export const backupStorageStatus = {
  connecting: 'Connecting',
  connected: 'Connected',
  disconnected: 'Disconnected',
} as const

/** Why images can be neither stored on nor fetched from a backup storage now, or undefined when they can. */
export function reasonNotUsable(storage: {
  readonly state: string
  readonly status: string
}): string | undefined {
  if (storage.state !== backupStorageState.enabled) return `it is ${storage.state}; enable it`
  if (storage.status === backupStorageStatus.connected) return undefined
  return `it is ${storage.status}; reconnect it, or wait until it answers again`
}
