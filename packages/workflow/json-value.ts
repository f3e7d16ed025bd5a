/**
 * Tells where `value` would not come back from the journal as it is: `output.when is a Date`. Undefined when it would.
 * Members that are undefined count as absent; `undefined` by itself is the output of a step that gives nothing.
 */
export function notJson(value: unknown, path: string): string | undefined {
  if (value === undefined) return undefined
  const problem = problemOf(value, 0)
  return problem === undefined ? undefined : path + problem
}

// Nobody nests this deep on purpose: it is a circle.
const MAX_DEPTH = 100

/** What is wrong, behind where: `.when is a Date`. Where is put together only when something is. */
function problemOf(value: unknown, depth: number): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : ` is ${value}`
  if (typeof value !== 'object') return ` is a ${typeof value}`
  if (depth > MAX_DEPTH) return ' is nested too deeply or refers to itself'
  if (Array.isArray(value)) return problemOfItems(value, depth)
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null)
    return ` is a ${prototype.constructor?.name ?? 'class instance'}`
  for (const name in value) {
    const member = (value as Record<string, unknown>)[name]
    if (member === undefined) continue
    const problem = problemOf(member, depth + 1)
    if (problem !== undefined) return `.${name}${problem}`
  }
  return undefined
}

function problemOfItems(items: readonly unknown[], depth: number): string | undefined {
  for (let i = 0; i < items.length; i += 1) {
    const problem = problemOf(items[i], depth + 1)
    if (problem !== undefined) return `[${i}]${problem}`
  }
  return undefined
}
