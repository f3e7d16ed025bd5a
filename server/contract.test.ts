import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** The public interface facts of the original lie beside a developer's checkout; a user's repository has none. */
const facts = fileURLToPath(new URL('../../shared/contract/', import.meta.url))
const skip = existsSync(facts)
  ? false
  : `the public interface facts are not at ${facts}: nothing to compare with`

interface Declared {
  readonly name: string
  readonly message?: string
  readonly rest?: {
    readonly method: string
    readonly path: string | null
    readonly parameterName: string
    readonly isAction?: boolean
  }
  readonly params: readonly {
    readonly name: string
    readonly required: boolean
    readonly validValues?: readonly string[]
  }[]
  readonly result?: readonly { readonly name: string }[]
  readonly kind?: string
}

// Any API may carry these; they are not declared one by one.
const universal = new Set(['systemTags', 'userTags', 'tagUuids', 'resourceUuid'])

/** What the original cannot do; no client of it knows them. */
const ownApis = new Set(['QueryWorkflow', 'RetryWorkflow', 'AbandonWorkflow', 'ExplainTask'])

describe('the declared APIs against the public interface of the original', { skip }, () => {
  let ours: readonly Declared[]
  let theirs: ReadonlyMap<string, Declared>

  before(() => {
    const script = fileURLToPath(new URL('./contract.ts', import.meta.url))
    const printed = execFileSync(process.execPath, [script, '--json'], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    })
    ours = (JSON.parse(printed) as { apis: Declared[] }).apis
    const read = JSON.parse(readFileSync(`${facts}apis.json`, 'utf8')) as Declared[]
    theirs = new Map(read.map((api) => [api.name, api]))
  })

  test('every API has the name, message and route existing clients use', () => {
    const wrong = ours.flatMap((api) => {
      const fact = theirs.get(api.name)
      if (fact === undefined) return ownApis.has(api.name) ? [] : [`${api.name} is no API of the original`]
      if (ownApis.has(api.name)) return [`${api.name} is an API of the original after all`]
      return [
        ...(fact.message !== undefined && api.message !== fact.message
          ? [`${api.name}: message ${api.message}`]
          : []),
        ...routeDifferences(api, fact),
      ]
    })
    assert.deepEqual(wrong, [])
  })

  test('every API takes the parameters and gives the results existing clients know, and demands no more', () => {
    const wrong = ours.flatMap((api) => {
      const fact = theirs.get(api.name)
      return fact === undefined || fact.kind === 'query'
        ? []
        : [...parameterDifferences(api, fact), ...resultDifferences(api, fact)]
    })
    assert.deepEqual(wrong, [])
  })
})

function routeDifferences({ name, rest }: Declared, fact: Declared): string[] {
  // Some have no path of their own in the facts, only the alternatives.
  if (!fact.rest?.path) return []
  const shape = (path: string | null | undefined) => path?.replace(/\{[^}]+\}/g, '{}')
  const wrong: string[] = []
  if (rest?.method !== fact.rest.method)
    wrong.push(`${name}: method ${rest?.method}, not ${fact.rest.method}`)
  if (shape(rest?.path) !== shape(fact.rest.path))
    wrong.push(`${name}: path ${rest?.path}, not ${fact.rest.path}`)
  if (fact.rest.isAction && rest?.parameterName !== fact.rest.parameterName)
    wrong.push(`${name}: key ${rest?.parameterName}`)
  return wrong
}

function parameterDifferences(api: Declared, fact: Declared): string[] {
  const mine = new Map(api.params.map((p) => [p.name, p]))
  return fact.params
    .filter((p) => !universal.has(p.name))
    .flatMap((p) => {
      const own = mine.get(p.name)
      if (own === undefined) return [`${api.name}: no parameter ${p.name}`]
      if (own.required && !p.required) return [`${api.name}: ${p.name} must be optional`]
      const lacking =
        (own.validValues === undefined ? [] : p.validValues)?.filter((v) => !own.validValues?.includes(v)) ??
        []
      return lacking.map((v) => `${api.name}: ${p.name} refuses ${v}`)
    })
}

function resultDifferences(api: Declared, fact: Declared): string[] {
  const names = new Set(api.result?.map((r) => r.name))
  const wanted = (fact.result ?? []).filter((r) => r.name !== 'success' && r.name !== 'error')
  return wanted.filter((r) => !names.has(r.name)).map((r) => `${api.name}: no result ${r.name}`)
}
