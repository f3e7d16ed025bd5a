import { type Api, type Field, isObject } from '#contract'
import { HttpFailure } from './reply.ts'

/** Decoded `name=value` pairs of a query string, in order. Throws HttpFailure(400). */
export function parseQueryString(raw: string): [string, string][] {
  if (raw === '') return []
  return raw
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.indexOf('=')
      return at < 0 ? [decode(part), ''] : [decode(part.slice(0, at)), decode(part.slice(at + 1))]
    })
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new HttpFailure(400, `the query string holds a malformed percent escape: ${text.slice(0, 80)}`)
  }
}

const TAG_NAMES = ['systemTags', 'userTags'] as const

/** The parameters a POST or PUT carries. Throws HttpFailure(400) when the body has the wrong form. */
export function bodyParameters(api: Api, body: unknown): Record<string, unknown> {
  if (body === undefined || body === null) return {}
  if (!isObject(body)) throw new HttpFailure(400, 'the body must be a JSON object')
  const found = [api.parameterName, '', ...(api.isAction ? [] : ['params'])].find(
    (key) => Object.hasOwn(body, key) && body[key] !== null,
  )
  const inner = found === undefined ? {} : body[found]
  if (!isObject(inner)) throw new HttpFailure(400, `the member '${found}' of the body must be an object`)
  const params = { ...inner }
  for (const name of TAG_NAMES) if (body[name] !== undefined && body[name] !== null) params[name] = body[name]
  checkTypes(api, params)
  return params
}

/** Integers and booleans of the wrong type are refused before the API is called, as the original does. */
function checkTypes(api: Api, params: Readonly<Record<string, unknown>>): void {
  for (const [name, field] of Object.entries(api.input)) {
    const value = Object.hasOwn(params, name) ? params[name] : undefined
    if (value === undefined || value === null) continue
    if ((field.kind === 'int' || field.kind === 'long') && !isWhole(value))
      throw new HttpFailure(400, `'${name}' of ${api.name} must be a whole number`)
    if (field.kind === 'boolean' && ![true, false, 'true', 'false'].includes(value as string | boolean))
      throw new HttpFailure(400, `'${name}' of ${api.name} must be true or false`)
  }
}

function isWhole(value: unknown): boolean {
  return typeof value === 'string' ? /^\s*[-+]?\d+\s*$/.test(value) : Number.isInteger(value)
}

/** The parameters a GET or DELETE carries in its query string. Throws HttpFailure(400). */
export function queryStringParameters(
  api: Api,
  pairs: readonly (readonly [string, string])[],
): Record<string, unknown> {
  const params: Record<string, unknown> = {}
  for (const name of TAG_NAMES) {
    const tags = listOf(name, pairs)
    if (tags.length > 0) params[name] = tags
  }
  for (const [name, field] of Object.entries(api.input)) {
    const value = readParameter(name, field, pairs)
    if (value !== undefined) params[name] = value
  }
  checkTypes(api, params)
  return params
}

function readParameter(name: string, field: Field, pairs: readonly (readonly [string, string])[]): unknown {
  if (field.kind === 'list') {
    const items = listOf(name, pairs)
    return items.length === 0 ? undefined : items
  }
  if (field.kind === 'map' || field.kind === 'struct') return mapOf(name, field, pairs)
  const values = pairs.filter(([key]) => key === name).map(([, value]) => value)
  if (values.length > 1) throw new HttpFailure(400, `the parameter '${name}' is given ${values.length} times`)
  return values[0]
}

function listOf(name: string, pairs: readonly (readonly [string, string])[]): string[] {
  const repeated: string[] = []
  const indexed: [number, string][] = []
  for (const [key, value] of pairs) {
    const index = key.startsWith(`${name}.`) ? key.slice(name.length + 1) : undefined
    if (key === name) repeated.push(value)
    else if (index !== undefined && /^\d{1,6}$/.test(index)) indexed.push([Number(index), value])
  }
  return [...repeated, ...indexed.sort((a, b) => a[0] - b[0]).map(([, value]) => value)]
}

function mapOf(
  name: string,
  field: Field,
  pairs: readonly (readonly [string, string])[],
): Record<string, unknown> | undefined {
  const out = new Map<string, string | string[]>()
  for (const [key, value] of pairs) {
    const sub = key.startsWith(`${name}.`) ? key.slice(name.length + 1) : ''
    if (sub === '') continue
    const member = field.constraints.element ?? field.constraints.shape?.[sub]
    if (member?.kind === 'list') out.set(sub, [...(out.get(sub) ?? []), value])
    else if (out.has(sub)) throw new HttpFailure(400, `the parameter '${key}' is given more than once`)
    else out.set(sub, value)
  }
  return out.size === 0 ? undefined : Object.fromEntries(out)
}
