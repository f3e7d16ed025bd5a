import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import type { Api } from '#contract'
import { logInByAccount } from '#plugins/identity/contract/session-apis.ts'
import { sentForm } from '#plugins/identity/password.ts'
import { type Arrangement, createTestCloud, databaseContent, type TestCloud, testDialect } from '#testkit'
import { arrangeBase } from './base-cloud.ts'
import { type DoorClient, type DoorName, type Outcome, openDoors } from './door-client.ts'
import { nastyTexts, nastyValues, soundInput } from './fuzz-input.ts'

/** Decides the door and the values of each call. FUZZ_SEED tries others; FUZZ_SHARE=1 tries every value in every field (minutes). */
const seed = Number(process.env.FUZZ_SEED ?? 20260917)
const share = Number(process.env.FUZZ_SHARE ?? 0.1)
/** Codes that say the call was refused before anything was begun. */
const refusals = ['SYS.1003', 'SYS.1007', 'ID.1001']

describe(`nasty values in every field of every API (FUZZ_SEED=${seed})`, () => {
  let base: Arrangement
  let cloud: TestCloud
  let doors: DoorClient
  before(async () => {
    base = await arrangeBase()
    cloud = await createTestCloud({ data: base, world: base.world })
    const params = { accountName: 'admin', password: sentForm('password') }
    const reply = await cloud.cloud.dispatcher.call({ api: logInByAccount, params })
    doors = await openDoors(cloud, String((reply.inventory as { uuid: string }).uuid))
    for (const host of cloud.world.hosts.values()) host.knobs.recordCalls(true)
  })
  after(async () => {
    await doors?.dispose()
    await cloud?.dispose()
    await base?.dispose()
  })

  it('are answered with what is wrong with them; a refused call changes nothing', async (t) => {
    const problems: string[] = []
    const random = randomFrom(seed)
    const watch = await watchContent(cloud, join(base.dir, 'zstack.db'))
    let calls = 0
    for (const api of inOrder(cloud.cloud.dispatcher.apis)) {
      const existing = await existingUuids(cloud)
      for (const params of inputsOf(api, existing)) {
        if (random() >= share) continue
        calls += 1
        const door: DoorName = random() < 0.5 ? 'rest' : 'legacy'
        const outcome = await doors.call(door, api, params).catch((error: Error) => error)
        const found = [...problemsOf(outcome), ...(await watch.changes()).filter(() => isRefused(outcome))]
        const what = `${door} ${api.name} ${JSON.stringify(params).slice(0, 300)}`
        problems.push(...found.map((problem) => `${what}: ${problem}`))
      }
    }
    watch.close()
    t.diagnostic(`${calls} calls`)
    assert.deepEqual(problems, [])
  })

  it('do not reach an agent as a path, an address or a name of something on the host', () => {
    const calls = [...cloud.world.hosts.values()].flatMap((host) => host.knobs.calls())
    assert.ok(calls.length > 0, 'the calls made above reached no agent at all')
    const found = calls.flatMap((call) => unsafe(call.input, call.name))
    assert.deepEqual([...new Set(found)], [])
  })
})

function problemsOf(outcome: Outcome | Error): string[] {
  if (outcome instanceof Error) return [String(outcome)]
  const { status, error, text } = outcome
  if (status >= 500 && error === undefined) return [`${status} ${text.slice(0, 200)}`]
  return error?.code === 'SYS.1000' ? [JSON.stringify(error).slice(0, 400)] : []
}

function isRefused(outcome: Outcome | Error): boolean {
  if (outcome instanceof Error) return false
  return outcome.status === 400 || refusals.includes(outcome.error?.code ?? '')
}

/** Tells what changed in the database since it was asked last; asking is cheap when nobody wrote. */
async function watchContent(cloud: TestCloud, file: string) {
  const witness = testDialect === 'sqlite' ? new DatabaseSync(file, { readOnly: true }) : undefined
  // Without a witness everything is looked at each time.
  const commits = () => Object.values(witness?.prepare('PRAGMA data_version').get() ?? {})[0]
  let seen = commits()
  let content = await databaseContent(cloud)
  return {
    changes: async (): Promise<string[]> => {
      if (witness !== undefined && commits() === seen) return []
      seen = commits()
      const before = content
      content = await databaseContent(cloud)
      const tables = Object.keys(content).filter((name) => String(before[name]) !== String(content[name]))
      return tables.map((name) => `was refused, but changed ${name}`)
    },
    close: () => witness?.close(),
  }
}

/** Texts for people; they may hold anything. */
const forPeople = /\.(vm\.name|metadata\.[^.]*|userData)$/

/** Strings of an agent's input that could be more than what they should be. */
function unsafe(value: unknown, path: string): string[] {
  if (typeof value === 'string') {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    const bad = /[\u0000-\u001f\u007f"'`$;|<>\\]|(^|\/)\.\.(\/|$)|^-/.test(value) || !value.isWellFormed()
    return bad && !forPeople.test(path) ? [`${path} = ${JSON.stringify(value.slice(0, 80))}`] : []
  }
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) =>
    unsafe(member, Array.isArray(value) ? path : `${path}.${name}`),
  )
}

/** Removals last, so that what they remove is there for the others. */
function inOrder(apis: readonly Api[]): Api[] {
  const rank = ({ name }: Api) => Number(/^(Delete|Expunge|Destroy|Detach)/.test(name))
  return [...apis].sort((a, b) => rank(a) - rank(b))
}

function* inputsOf(api: Api, existing: ReadonlyMap<string, string>): Generator<Record<string, unknown>> {
  const sound = soundInput(api, (voName) => existing.get(voName))
  for (const [name, field] of Object.entries(api.input))
    for (const value of nastyValues(field)) yield { ...sound, [name]: value }
  for (const text of nastyTexts) {
    if (api.kind === 'job') yield { ...sound, systemTags: [text] }
    if (api.kind === 'job') yield { ...sound, userTags: [text], resourceUuid: text }
    if (api.kind === 'query') yield { conditions: [{ name: text, op: '=', value: text }] }
    if (api.kind === 'query') yield { fields: [text], sortBy: text, start: text, count: { toString: text } }
  }
}

async function existingUuids(cloud: TestCloud): Promise<Map<string, string>> {
  const uuids = new Map<string, string>()
  const { db, query } = cloud.cloud.context
  for (const resource of query.registry.all) {
    const [row] = await db.all(`SELECT ${resource.primaryKey} AS uuid FROM ${resource.table} LIMIT 1`, [])
    if (row !== undefined) uuids.set(`${resource.name}VO`, String(row.uuid))
  }
  return uuids
}

/** Mulberry32: the same numbers for the same seed. */
function randomFrom(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
