import { UsageError } from './failure.ts'
import { parseLiteral } from './literal.ts'
import type { Say } from './texts.ts'

interface Condition {
  readonly name: string
  readonly op: string
  readonly value?: string
}

const LISTS = ['fields']
const OPTIONS = ['limit', 'start', 'timeout', 'count', 'replyWithCount', 'sortBy', 'sortDirection']

// What stands before the first `=`, longest first.
const endings: readonly (readonly [string, string])[] = [
  ['!?', 'not in'],
  ['!~', 'not like'],
  ['!', '!='],
  ['>', '>='],
  ['<', '<='],
  ['?', 'in'],
  ['~', 'like'],
]

/** Reads the words of a query: conditions, and options such as `limit=10`. Throws UsageError. */
export function readQuery(words: readonly string[], say: Say): Record<string, unknown> {
  const conditions: unknown[] = []
  const options: Record<string, unknown> = {}
  for (const word of words) {
    const at = word.indexOf('=')
    const key = at < 0 ? '' : word.slice(0, at)
    const value = word.slice(at + 1)
    if (LISTS.includes(key)) options[key] = value.split(',').filter((item) => item !== '')
    else if (OPTIONS.includes(key)) options[key] = value
    else if (key === 'conditions') conditions.push(...readConditionList(value, say))
    else conditions.push(readCondition(word, say))
  }
  return { ...options, conditions }
}

function readConditionList(text: string, say: Say): unknown[] {
  const example = `"[{'name':'name','op':'=','value':'web'}]"`
  let value: unknown
  try {
    value = parseLiteral(text)
  } catch (error) {
    throw new UsageError(say('badLiteral', 'conditions', (error as Error).message, example))
  }
  if (Array.isArray(value)) return value
  throw new UsageError(say('badLiteral', 'conditions', typeof value, example))
}

function readCondition(word: string, say: Say): Condition {
  const at = word.indexOf('=')
  if (at < 0) {
    const [, name, op, value] = /^([^<>]+)([<>])(.*)$/s.exec(word) ?? []
    if (name === undefined || op === undefined) throw new UsageError(say('notSplit', word))
    return { name, op, value: value ?? '' }
  }
  const key = word.slice(0, at)
  const value = word.slice(at + 1)
  const [ending, op] = endings.find(([end]) => key.endsWith(end)) ?? ['', '=']
  const name = key.slice(0, key.length - ending.length)
  if (name === '') throw new UsageError(say('notSplit', word))
  if (value === 'null' && op === '=') return { name, op: 'is null' }
  if (value === 'null' && op === '!=') return { name, op: 'is not null' }
  // Without a wildcard of its own a pattern is looked for anywhere.
  if (op.endsWith('like') && !/[%_]/.test(value)) return { name, op, value: `%${value}%` }
  return { name, op, value }
}
