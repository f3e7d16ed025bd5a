/** A Disabled L3 network gives no new addresses; NICs that have one keep it. */
export const l3State = { enabled: 'Enabled', disabled: 'Disabled' } as const

/** The state an event leads to, from either state. */
export const l3StateAfter: Readonly<Record<'enable' | 'disable', string>> = {
  enable: l3State.enabled,
  disable: l3State.disabled,
}
