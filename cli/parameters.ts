import type { ApiDescription } from './contract.ts'
import { UsageError } from './failure.ts'
import { parseLiteral } from './literal.ts'
import { suggest } from './suggest.ts'
import type { Say } from './texts.ts'

const SCALARS = ['string', 'int', 'long', 'boolean', 'timestamp']
// Members of every message beside the API's own parameters.
const COMMON = ['systemTags', 'userTags', 'resourceUuid', 'timeout']

/** Reads `name=value` words as the parameters of `api`. Scalars stay text: the server reads them. Throws UsageError. */
export function readParameters(
  api: ApiDescription,
  words: readonly string[],
  say: Say,
): Record<string, unknown> {
  const params: Record<string, unknown> = {}
  for (const word of words) {
    const at = word.indexOf('=')
    if (at < 1) throw new UsageError(say('notSplit', word))
    const name = word.slice(0, at)
    params[name] = readValue(api, name, word.slice(at + 1), say)
  }
  const missing = api.params.filter((p) => p.required && params[p.name] === undefined).map((p) => p.name)
  if (missing.length > 0) {
    const problem = say('missing', api.name, missing.join(', '))
    throw new UsageError(`${problem}; ${say('seeHelp', api.name)}`)
  }
  return params
}

function readValue(api: ApiDescription, name: string, text: string, say: Say): unknown {
  const type = typeOf(api, name, say)
  const element = /^list<(.*)>$/.exec(type)?.[1]
  if (element !== undefined && SCALARS.includes(element)) return splitList(text)
  if (SCALARS.includes(type)) return text
  const isLiteral = /^\s*[[{(]/.test(text)
  if (!isLiteral && type === 'any') return text
  if (!isLiteral && element === 'any') return splitList(text)
  try {
    return parseLiteral(text)
  } catch (error) {
    const example = element === undefined ? `"{'KEY':'VALUE'}"` : `"[{'KEY':'VALUE'}]"`
    throw new UsageError(say('badLiteral', name, (error as Error).message, example))
  }
}

function typeOf(api: ApiDescription, name: string, say: Say): string {
  const known = api.params.find((param) => param.name === name)
  if (known !== undefined) return known.type
  if (COMMON.includes(name)) return name.endsWith('Tags') ? 'list<string>' : 'string'
  const guess = suggest(name, [...api.params.map((param) => param.name), ...COMMON])
  const hint = guess === undefined ? say('seeHelp', api.name) : say('didYouMean', guess)
  throw new UsageError(`${say('unknownParameter', api.name, name)}; ${hint}`)
}

/** Splits at commas; a backslash keeps the next character, double quotes around an item keep its commas. */
export function splitList(text: string): string[] {
  const items: string[] = []
  let item = ''
  let isQuoted = false
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i]
    if (c === '\\' && i + 1 < text.length) {
      i += 1
      item += text[i]
    } else if (c === '"' && (isQuoted || item === '')) isQuoted = !isQuoted
    else if (c === ',' && !isQuoted) {
      items.push(item)
      item = ''
    } else item += c
  }
  return [...items, item]
}
