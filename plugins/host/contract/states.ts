/** Administrative states and what an operator may do in each. */
export const hostState = { enabled: 'Enabled', disabled: 'Disabled', maintenance: 'Maintenance' } as const
export const hostStatus = {
  connecting: 'Connecting',
  connected: 'Connected',
  disconnected: 'Disconnected',
} as const

/** The state an event leads to, from any state. */
export const hostStateAfter: Readonly<Record<string, string>> = {
  enable: hostState.enabled,
  disable: hostState.disabled,
  maintain: hostState.maintenance,
}
