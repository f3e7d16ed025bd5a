import { type Api, isObject } from '#contract'
import { CloudError, sysErrors } from '#kernel'

/** An API call as it goes over the REST door. */
export interface RestCall {
  readonly method: string
  /** Below /zstack/v1, with query string. */
  readonly path: string
  readonly body: string | undefined
}

const TAGS = ['systemTags', 'userTags']

/** Spells a call of `api`. Throws SYS.1007 when a variable of the path has no value. */
export function restCall(api: Api, input: Readonly<Record<string, unknown>>): RestCall {
  const { path, rest } = fillPath(api, input)
  if (api.method === 'GET' || api.method === 'DELETE') {
    const pairs = Object.entries(rest).flatMap(([name, value]) => queryPairs(name, value))
    return { method: api.method, path: withQuery(path, pairs), body: undefined }
  }
  const tags = Object.entries(rest).filter(([name]) => TAGS.includes(name))
  const parameters = Object.entries(rest).filter(([name]) => !TAGS.includes(name))
  const body = { [api.parameterName]: Object.fromEntries(parameters), ...Object.fromEntries(tags) }
  return { method: api.method, path, body: JSON.stringify(body) }
}

export function withQuery(path: string, pairs: readonly (readonly [string, string])[]): string {
  const text = pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
  return text.length === 0 ? path : `${path}?${text.join('&')}`
}

function fillPath(api: Api, input: Readonly<Record<string, unknown>>) {
  const given = (name: string) => input[name] !== undefined && input[name] !== ''
  const template = [api.path, ...api.optionalPaths].find((path) => variablesOf(path).every(given))
  if (template === undefined) {
    const missing = variablesOf(api.path).filter((name) => !given(name))
    throw new CloudError(sysErrors.invalidArgument, `${api.name} needs ${missing.join(', ')}`)
  }
  const used = new Set(variablesOf(template))
  return {
    path: template.replace(/\{([^}]+)\}/g, (_all, name: string) => encodeURIComponent(String(input[name]))),
    rest: Object.fromEntries(
      Object.entries(input).filter(([name, value]) => !used.has(name) && value !== undefined),
    ),
  }
}

function variablesOf(path: string): string[] {
  return [...path.matchAll(/\{([^}]+)\}/g)].map((match) => match[1] ?? '')
}

function queryPairs(name: string, value: unknown): [string, string][] {
  if (value === null || value === undefined) return []
  if (Array.isArray(value)) return value.map((item) => [name, String(item)])
  if (!isObject(value)) return [[name, String(value)]]
  return Object.entries(value).flatMap(([key, item]) => queryPairs(`${name}.${key}`, item))
}
