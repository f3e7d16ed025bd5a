import { defineHook } from '#plugin-host'

/** A system tag a plugin understands: `hostname::{hostname}` on `VmInstanceVO`. */
export interface SystemTagPattern {
  readonly resourceType: string
  readonly pattern: string
  /** Refuses a bad value with a CloudError. */
  validate?(tokens: Readonly<Record<string, string>>): void
}

export const systemTagPattern = defineHook<SystemTagPattern>('system tag')

/** The values of a tag that follows `pattern`, or undefined when it does not. The last token takes the rest of the tag. */
export function matchTag(pattern: string, tag: string): Record<string, string> | undefined {
  const names = [...pattern.matchAll(/\{(\w+)\}/g)].map((m) => m[1] ?? '')
  const literals = pattern.split(/\{\w+\}/)
  const source = literals.map(escapeRegExp).join('\u0000')
  let i = 0
  const expression = source.replaceAll('\u0000', () => (++i === names.length ? '([\\s\\S]+)' : '(.+?)'))
  const match = new RegExp(`^${expression}$`).exec(tag)
  if (match === null) return undefined
  return Object.fromEntries(names.map((name, at) => [name, match[at + 1] ?? '']))
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
