/** A zone or cluster in the state Disabled takes no new VMs; what runs goes on. */
export const enableState = { enabled: 'Enabled', disabled: 'Disabled' } as const

/** The state an event leads to, from either state. */
export const enableStateAfter: Readonly<Record<'enable' | 'disable', string>> = {
  enable: enableState.enabled,
  disable: enableState.disabled,
}
