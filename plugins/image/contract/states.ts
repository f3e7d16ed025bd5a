/** Of an image, and of each of its copies on backup storages. */
export const imageStatus = {
  downloading: 'Downloading',
  ready: 'Ready',
  deleted: 'Deleted',
} as const

/** A Disabled image makes no new volumes; what was made from it goes on. */
export const imageState = { enabled: 'Enabled', disabled: 'Disabled' } as const

/** The state an event leads to, from either state. */
export const imageStateAfter: Readonly<Record<'enable' | 'disable', string>> = {
  enable: imageState.enabled,
  disable: imageState.disabled,
}
