import type { Field, Shape } from '#contract'
import { CloudError, sysErrors } from '#kernel'

// Texts such as what a tool printed may be longer than declared; nothing honest is longer than this.
const MAX_TEXT = 65_536
const MAX_ITEMS = 100_000

/**
 * Checks what one program sends another against the declared shape: members are there, of their kind, in their range, and no
 * longer than anything honest is. Nothing is converted or copied; a mismatch is a bug or a version that does not fit, hence SYS.1000. `owner` begins the message.
 */
export function checkShape(shape: Shape, value: unknown, owner: string): void {
  const wrong = mismatch(shape, value, '')
  if (wrong !== undefined) throw new CloudError(sysErrors.internal, `${owner}: ${wrong}`)
}

function mismatch(shape: Shape, value: unknown, path: string): string | undefined {
  if (!isPlain(value)) return `${path || 'the whole'} must be an object, got ${typeName(value)}`
  for (const name in shape) {
    const field = shape[name]
    const wrong = field && memberMismatch(field, value[name], path === '' ? name : `${path}.${name}`)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

function memberMismatch(field: Field, value: unknown, path: string): string | undefined {
  if (value === undefined || value === null) return field.required ? `${path} is missing` : undefined
  return checks[field.kind](field, value, path)
}

type Check = (field: Field, value: unknown, path: string) => string | undefined

const checks: Record<Field['kind'], Check> = {
  string: stringMismatch,
  int: numberMismatch,
  long: numberMismatch,
  timestamp: numberMismatch,
  boolean: (_field, value, path) =>
    typeof value === 'boolean' ? undefined : expected(path, 'true or false', value),
  list: listMismatch,
  map: (field, value, path) =>
    isPlain(value)
      ? firstMismatch(field.constraints.element, Object.entries(value), path)
      : expected(path, 'a map', value),
  struct: (field, value, path) => mismatch(field.constraints.shape ?? {}, value, path),
  any: () => undefined,
}

function stringMismatch(field: Field, value: unknown, path: string): string | undefined {
  if (typeof value !== 'string') return expected(path, 'a string', value)
  const { choices, max = 0 } = field.constraints
  const limit = Math.max(max, MAX_TEXT)
  if (value.length > limit) return `${path} is ${value.length} characters long, at most ${limit} are allowed`
  if (choices === undefined || choices.includes(value)) return undefined
  return `${path} must be one of [${choices.join(', ')}]`
}

function numberMismatch(field: Field, value: unknown, path: string): string | undefined {
  if (!Number.isSafeInteger(value)) return expected(path, 'a whole number', value)
  const [least, most] = field.constraints.range ?? [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
  const number = Number(value)
  return number >= least && number <= most
    ? undefined
    : `${path} must be between ${least} and ${most}, got ${number}`
}

function listMismatch(field: Field, value: unknown, path: string): string | undefined {
  if (!Array.isArray(value)) return expected(path, 'a list', value)
  if (value.length > MAX_ITEMS) return `${path} has ${value.length} items, at most ${MAX_ITEMS} are allowed`
  return firstMismatch(field.constraints.element, value.entries(), path)
}

function firstMismatch(
  element: Field | undefined,
  entries: Iterable<[number | string, unknown]>,
  path: string,
): string | undefined {
  if (element === undefined) return undefined
  for (const [key, item] of entries) {
    const wrong = memberMismatch(element, item, `${path}[${key}]`)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

function expected(path: string, what: string, value: unknown): string {
  return `${path} must be ${what}, got ${typeName(value)}`
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function typeName(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`
}
