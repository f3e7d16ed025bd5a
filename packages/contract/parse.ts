import { CloudError, sysErrors } from '#kernel'
import type { Field, Infer, Shape } from './fields.ts'

/**
 * Checks `raw` against `shape` and returns the typed value: unknown members are dropped, strings trimmed, defaults filled in,
 * numbers and booleans accepted in their string form (the original's CLI sends every value as a string).
 * Throws SYS.1007 with the field's name and the reason, and nothing else, whatever `raw` is. `owner` names what is being
 * parsed, for the message.
 */
export function parse<S extends Shape>(
  shape: S,
  raw: Readonly<Record<string, unknown>>,
  owner: string,
): Infer<S> {
  if (!isObject(raw))
    throw new CloudError(sysErrors.invalidArgument, `${owner} must be an object, got ${kindOf(raw)}`)
  return parseMembers(shape, raw, '', owner) as Infer<S>
}

function parseMembers(
  shape: Shape,
  raw: Readonly<Record<string, unknown>>,
  prefix: string,
  owner: string,
): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const name in shape) {
    const given = Object.hasOwn(raw, name) ? raw[name] : undefined
    const value = parseField(shape[name] as Field, given, prefix + name, owner)
    if (value !== undefined) out[name] = value
  }
  return out
}

function parseField(field: Field, raw: unknown, path: string, owner: string): unknown {
  if (raw === undefined || raw === null) {
    // A copy: the caller may change what it gets, the declaration must not follow.
    if (field.constraints.default !== undefined) return structuredClone(field.constraints.default)
    if (field.required) throw bad(path, owner, 'is mandatory, but it was not given')
    return undefined
  }
  if (field.constraints.unsupported === true && !isBlank(raw))
    throw bad(path, owner, 'is not supported by this version yet; leave it out')
  return converters[field.kind](field, raw, path, owner)
}

/** What clients send for a parameter they do not mean: their own defaults for every member they know. */
function isBlank(raw: unknown): boolean {
  if (raw === '' || raw === false || raw === 'false') return true
  return Array.isArray(raw) ? raw.length === 0 : isObject(raw) && Object.keys(raw).length === 0
}

type Converter = (field: Field, raw: unknown, path: string, owner: string) => unknown

const converters: Record<Field['kind'], Converter> = {
  string: parseString,
  int: parseNumber,
  long: parseNumber,
  timestamp: parseNumber,
  boolean: parseBoolean,
  list: parseList,
  map: parseMap,
  struct: parseStruct,
  any: (_field, raw) => raw,
}

function parseString(field: Field, raw: unknown, path: string, owner: string): string {
  if (typeof raw === 'number' || typeof raw === 'boolean') return parseString(field, String(raw), path, owner)
  if (typeof raw !== 'string') throw bad(path, owner, `must be a string, got ${kindOf(raw)}`)
  const { max, choices, pattern, notEmpty, noTrim } = field.constraints
  const value = noTrim === true ? raw : raw.trim()
  if (max !== undefined && value.length > max) {
    throw bad(path, owner, `is ${value.length} characters long, at most ${max} are allowed`)
  }
  if (value === '' && notEmpty === true) throw bad(path, owner, 'must not be empty')
  if (choices !== undefined && !choices.includes(value)) {
    throw bad(path, owner, `must be one of [${choices.join(', ')}], got ${show(value)}`)
  }
  // `search` keeps no position between calls, which `test` does for patterns with the flag g.
  if (pattern !== undefined && value.search(pattern) < 0)
    throw bad(path, owner, `must match ${pattern.source}`)
  return value
}

function parseNumber(field: Field, raw: unknown, path: string, owner: string): number {
  const value = typeof raw === 'string' && /^\s*[-+]?\d+\s*$/.test(raw) ? Number(raw) : raw
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw bad(path, owner, `must be a whole number, got ${show(raw)}`)
  }
  const range = field.constraints.range
  if (range !== undefined && (value < range[0] || value > range[1])) {
    throw bad(path, owner, `must be between ${range[0]} and ${range[1]}, got ${value}`)
  }
  // `-0` would come back from the database as 0.
  return value + 0
}

function parseBoolean(_field: Field, raw: unknown, path: string, owner: string): boolean {
  if (raw === true || raw === 'true') return true
  if (raw === false || raw === 'false') return false
  throw bad(path, owner, `must be true or false, got ${show(raw)}`)
}

function parseList(field: Field, raw: unknown, path: string, owner: string): unknown[] {
  if (!Array.isArray(raw)) throw bad(path, owner, `must be a list, got ${kindOf(raw)}`)
  if (raw.length === 0 && field.constraints.notEmpty === true)
    throw bad(path, owner, 'must not be an empty list')
  const element = field.constraints.element
  if (element === undefined) return raw
  return raw.map((item, i) => parseField({ ...element, required: true }, item, `${path}[${i}]`, owner))
}

function parseMap(field: Field, raw: unknown, path: string, owner: string): Record<string, unknown> {
  if (!isObject(raw)) throw bad(path, owner, `must be a map, got ${kindOf(raw)}`)
  const element = field.constraints.element
  if (element === undefined) return raw
  const entries = Object.entries(raw).map(([k, v]) => [k, parseField(element, v, `${path}.${k}`, owner)])
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

function parseStruct(field: Field, raw: unknown, path: string, owner: string): unknown {
  if (!isObject(raw)) throw bad(path, owner, `must be an object, got ${kindOf(raw)}`)
  return parseMembers(field.constraints.shape ?? {}, raw, `${path}.`, owner)
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const MAX_PATH = 300

function bad(given: string, owner: string, reason: string): CloudError {
  // Keys of maps are the caller's own, and as long as he likes.
  const path = given.length <= MAX_PATH ? given : `${given.slice(0, MAX_PATH)}…`
  return new CloudError(sysErrors.invalidArgument, `field[${path}] of ${owner} ${reason}`, {
    opaque: { field: path },
  })
}

function kindOf(value: unknown): string {
  return Array.isArray(value) ? 'a list' : value === null ? 'null' : `a value of type ${typeof value}`
}

function show(value: unknown): string {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : kindOf(value)
}
