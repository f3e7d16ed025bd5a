import type { ApiDescription, ParameterDescription, ServerContract } from './contract.ts'
import { padEnd, widthOf } from './terminal.ts'
import type { Say } from './texts.ts'

const OPTIONS = [
  ['-H, --host HOST', 'optionHost'],
  ['-p, --port PORT', 'optionPort'],
  ['-t, --table', 'optionTable'],
  ['-j, --json', 'optionJson'],
  ['-s, --no-secure', 'optionSecure'],
  ['-h, --help', 'optionHelp'],
] as const

/** What the tool is and which APIs there are, when that is known. */
export function generalHelp(contract: ServerContract | undefined, say: Say): string {
  const options = OPTIONS.map(([option, text]) => `  ${padEnd(option, 18)}${say(text)}`)
  const lines = [
    say('usage'),
    say('usageHelp'),
    say('usageExplain'),
    say('usageInteractive'),
    '',
    `${say('options')}:`,
    ...options,
    '',
    `${say('values')}:`,
    `  ${say('valuesList')}`,
    `  ${say('valuesMap')}`,
    '',
    `${say('queries')}:`,
    `  ${say('queriesText')}`,
    `  ${say('operators')}`,
    `  ${say('queryOptions')}`,
  ]
  if (contract === undefined) return lines.join('\n')
  const names = contract.apis.map((api) => api.name).sort()
  const width = Math.max(0, ...names.map((name) => name.length))
  const summaries = new Map(contract.apis.map((api) => [api.name, api.summary]))
  const list = names.map((name) => `  ${padEnd(name, width)}  ${summaries.get(name)}`)
  return [...lines, '', `${say('apis')}:`, ...list].join('\n')
}

/** What one API takes and answers, with an example to copy. */
export function apiHelp(api: ApiDescription, contract: ServerContract, say: Say): string {
  const lines = [api.name, `  ${api.summary}`, '']
  if (api.kind === 'query') lines.push(...queryLines(api, contract, say))
  else if (api.params.length === 0) lines.push(`  ${say('noParameters')}`)
  else lines.push(`${say('parameters')}:`, ...parameterLines(api.params, say))
  if (api.kind !== 'query' && api.result.length > 0) {
    const members = api.result.map(({ name, type }) => `${name} (${type})`)
    lines.push('', `${say('answers')}: ${members.join(', ')}`)
  }
  lines.push('', `${say('example')}:`, `  ${exampleOf(api)}`)
  return lines.join('\n')
}

function queryLines(api: ApiDescription, contract: ServerContract, say: Say): string[] {
  const inventory = contract.inventories.find(({ name }) => name === api.inventory)
  const fields = (inventory?.fields ?? []).map(({ name, type }) => ({ name, type }))
  const relations = Object.keys(inventory?.relations ?? {})
  const width = Math.max(0, ...fields.map(({ name }) => name.length))
  const lines = [
    `  ${say('queriesText')}`,
    `  ${say('operators')}`,
    `  ${say('queryOptions')}`,
    '',
    `${say('fields')}:`,
    ...fields.map(({ name, type }) => `  ${padEnd(name, width)}  ${type}`),
  ]
  const [first] = relations
  if (first !== undefined) lines.push('', `${say('related', first)}: ${relations.join(', ')}`)
  return lines
}

function parameterLines(params: readonly ParameterDescription[], say: Say): string[] {
  const names = Math.max(...params.map(({ name }) => widthOf(name)))
  const types = Math.max(...params.map(({ type }) => widthOf(type)))
  return params.map((param) => {
    const facts = [...factsOf(param, say)]
    const tail = facts.length === 0 ? '' : ` [${facts.join('; ')}]`
    return `  ${padEnd(param.name, names)}  ${padEnd(param.type, types)}  ${param.description}${tail}`
  })
}

function* factsOf(param: ParameterDescription, say: Say): Generator<string> {
  if (param.required) yield say('mandatory')
  if (param.default !== undefined) yield `${say('defaultIs')} ${JSON.stringify(param.default)}`
  if (param.validValues !== undefined) yield `${say('oneOf')} ${param.validValues.join(', ')}`
  if (param.range !== undefined && isTelling(param.range))
    yield `${say('from')} ${param.range[0]} - ${param.range[1]}`
  if (param.max !== undefined && param.max !== 32 && param.max < 2048) yield say('atMost', param.max)
}

// The whole range of a type says nothing.
function isTelling([low, high]: readonly [number, number]): boolean {
  return low > -2147483648 || high < 2147483647
}

function exampleOf(api: ApiDescription): string {
  const words = Object.entries(api.example).flatMap(([name, value]) => {
    if (name === 'conditions' && Array.isArray(value)) return value.map((condition) => String(condition))
    return [`${name}=${spell(value)}`]
  })
  const given = new Set(Object.keys(api.example))
  const missing = api.kind === 'query' ? [] : api.params.filter((p) => p.required && !given.has(p.name))
  const rest = missing.map((param) => `${param.name}=${param.validValues?.[0] ?? `<${param.type}>`}`)
  return ['zstack-cli', api.name, ...[...words, ...rest].map(quote)].join(' ')
}

function spell(value: unknown): string {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object'))
    return value.map((item) => String(item).replace(/[\\,]/g, '\\$&')).join(',')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** As a shell wants it. */
function quote(word: string): string {
  return /^[\w=.,:/@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
