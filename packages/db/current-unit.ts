import { AsyncLocalStorage } from 'node:async_hooks'

/** The unit the current code runs in; what a unit starts and leaves behind sees that it is over. */
export const currentUnit = new AsyncLocalStorage<{ open: boolean }>()

export function isInsideUnit(): boolean {
  return currentUnit.getStore()?.open === true
}

export function nestedWrite(): Error {
  return new Error('a write inside a write would wait for itself: use the tx at hand')
}
