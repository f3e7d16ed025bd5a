/**
 * Tells where `value` would not come back from the journal as it is: `output.when is a Date`. Undefined when it would.
 * Members that are undefined count as absent; `undefined` by itself is the output of a step that gives nothing.
 */
export function notJson(value: unknown, path: string): string | undefined {
  if (value === undefined) return undefined
  return problemOf(value, path, 0)
}

// Nobody nests this deep on purpose: it is a circle.
const MAX_DEPTH = 100

function problemOf(value: unknown, path: string, depth: number): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${path} is ${value}`
  if (typeof value !== 'object') return `${path} is a ${typeof value}`
  if (depth > MAX_DEPTH) return `${path} is nested too deeply or refers to itself`
  if (Array.isArray(value)) return problemOfItems(value, path, depth)
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null)
    return `${path} is a ${prototype.constructor?.name ?? 'class instance'}`
  for (const name in value) {
    const member = (value as Record<string, unknown>)[name]
    if (member === undefined) continue
    const problem = problemOf(member, `${path}.${name}`, depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

function problemOfItems(items: readonly unknown[], path: string, depth: number): string | undefined {
  for (const [i, item] of items.entries()) {
    const problem = problemOf(item, `${path}[${i}]`, depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}
