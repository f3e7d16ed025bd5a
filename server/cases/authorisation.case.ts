import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { find } from '#db'
import { type Logger, newUuid } from '#kernel'
import { createCluster } from '#plugins/cluster/contract/apis.ts'
import { account } from '#plugins/identity/contract/resources.ts'
import { logInByAccount } from '#plugins/identity/contract/session-apis.ts'
import { sentForm } from '#plugins/identity/password.ts'
import { createZone } from '#plugins/zone/contract/apis.ts'
import { type Arrangement, createTestCloud, databaseContent, inventoryOf, type TestCloud } from '#testkit'
import { arrangeBase } from './base-cloud.ts'
import { type DoorClient, openDoors } from './door-client.ts'
import { soundInput } from './fuzz-input.ts'

/** APIs anybody may call; one that is added here opens a door. */
const open = ['GetCurrentTime', 'GetVersion', 'IsReadyToGo', 'LogInByAccount', 'LogOut', 'ValidateSession']

describe('who may do what', () => {
  let base: Arrangement
  let cloud: TestCloud
  let doors: DoorClient
  before(async () => {
    base = await arrangeBase()
    cloud = await createTestCloud({ data: base, world: base.world })
    const params = { accountName: 'admin', password: sentForm('password') }
    const reply = await cloud.cloud.dispatcher.call({ api: logInByAccount, params })
    doors = await openDoors(cloud, String((reply.inventory as { uuid: string }).uuid))
  })
  after(async () => {
    await doors?.dispose()
    await cloud?.dispose()
    await base?.dispose()
  })

  const existing = (voName: string) => (voName === 'VmInstanceVO' ? base.place.vm : undefined)

  it('every API but the known few needs a session', () => {
    const free = cloud.cloud.dispatcher.apis.filter((api) => !api.needSession).map((api) => api.name)
    assert.deepEqual(free.sort(), open)
  })

  it('without a session or with a wrong one nothing is done and nothing is told, through both doors', async () => {
    const content = await databaseContent(cloud)
    const [admin] = await find(cloud.cloud.context.db, account, {})
    const wrong = [undefined, newUuid(), '', 'null', "' OR 1=1 --", '%', String(admin?.uuid)]
    const guarded = cloud.cloud.dispatcher.apis.filter((api) => api.needSession)
    for (const [at, api] of guarded.entries()) {
      const params = soundInput(api, existing)
      for (const session of [undefined, wrong[at % wrong.length]]) {
        const rest = await doors.call('rest', api, params, { session })
        const legacy = await doors.call('legacy', api, params, { session })
        if (rest.status !== 400) assert.equal(rest.error?.code, 'ID.1001', `${api.name} ${rest.text}`)
        assert.equal(legacy.error?.code, 'ID.1001', `${api.name} ${legacy.text}`)
      }
    }
    assert.deepEqual(await databaseContent(cloud), content)
  })

  it('the legacy door takes no internal member: not the account, not the session by another name', async () => {
    const message = 'org.zstack.header.zone.APICreateZoneMsg'
    const [admin] = await find(cloud.cloud.context.db, account, {})
    const forged = [
      { session: { accountUuid: admin?.uuid, userUuid: admin?.uuid } },
      { session: doors.session },
      { session: [{ uuid: doors.session }] },
      { sessionUuid: doors.session, accountUuid: admin?.uuid },
      { headers: { session: { uuid: doors.session } }, serviceId: 'zone', noSessionEvaluation: true },
    ]
    for (const content of forged) {
      const id = newUuid()
      await doors.send('POST', '/zstack/api', JSON.stringify({ [message]: { name: 'z', id, ...content } }))
      const { text } = await doors.send('GET', `/zstack/api/result/${id}`)
      assert.match(text, /ID\.1001/, JSON.stringify(content))
    }
  })

  it('a call refused for want of a session tells nothing of the job whose uuid it names', async () => {
    const job = newUuid()
    const message = 'org.zstack.header.zone.APICreateZoneMsg'
    const body = (session: object) => JSON.stringify({ [message]: { name: 'mine', id: job, session } })
    await doors.send('POST', '/zstack/api', body({ uuid: doors.session }))
    await cloud.cloud.jobs.idle(5_000)
    const stored = await doors.send('GET', `/zstack/v1/api-jobs/${job}`)
    assert.match(stored.text, /"mine"/)
    const { text } = await doors.send('POST', '/zstack/api', body({}))
    assert.doesNotMatch(text, /mine/)
    assert.equal((await doors.send('GET', `/zstack/v1/api-jobs/${job}`)).text, stored.text)
  })
})

describe('secrets', () => {
  it('are taken as they are sent: white space may be part of a password', async (t) => {
    const cloud = await createTestCloud()
    t.after(() => cloud.dispose())
    const trimmed = cloud.cloud.dispatcher.apis.flatMap(({ name, input }) =>
      Object.entries(input)
        .filter(([, { constraints }]) => constraints.secret === true && constraints.noTrim !== true)
        .map(([field]) => `${name}.${field}`),
    )
    assert.deepEqual(trimmed, [])
  })

  it('are in no reply, no result of a job, no log, and nowhere in the clear in the data directory', async (t) => {
    const heard: string[] = []
    const cloud = await createTestCloud({ log: logInto(heard) })
    t.after(() => cloud.dispose())
    const params = { accountName: 'admin', password: sentForm('password') }
    const reply = await cloud.cloud.dispatcher.call({ api: logInByAccount, params })
    const doors = await openDoors(cloud, String((reply.inventory as { uuid: string }).uuid), logInto(heard))
    t.after(() => doors.dispose())
    const { dispatcher, context } = cloud.cloud
    const [admin] = await find(context.db, account, {})
    const zone = inventoryOf(await cloud.call(createZone, { name: 'z' }))
    const where = { zoneUuid: zone.uuid, hypervisorType: 'KVM' } as const
    const cluster = inventoryOf(await cloud.call(createCluster, { name: 'c', ...where }))
    const secrets: string[] = [String(admin?.password)]
    const existing = (voName: string) =>
      ({ AccountVO: admin?.uuid, ClusterVO: String(cluster.uuid) })[voName as 'AccountVO']
    for (const api of dispatcher.apis) {
      const names = Object.keys(api.input).filter((name) => api.input[name]?.constraints.secret === true)
      for (const door of names.length === 0 ? [] : (['rest', 'legacy'] as const)) {
        const given = Object.fromEntries(names.map((name) => [name, `zs3cret${api.name}${name}${door}`]))
        secrets.push(...Object.values(given))
        heard.push((await doors.call(door, api, { ...soundInput(api, existing), ...given })).text)
      }
    }
    for (const api of dispatcher.apis.filter(({ kind }) => kind === 'query'))
      heard.push((await doors.call('rest', api, {})).text)
    heard.push((await doors.send('GET', '/zstack/v1/contract')).text)
    for (const name of await readdir(cloud.dataDir)) {
      const file = await readFile(join(cloud.dataDir, name), 'latin1').catch(() => '')
      // The hash of the administrator's password has to be there; nothing else.
      heard.push(file.replaceAll(String(admin?.password), ''))
    }
    assert.ok(secrets.length > 6)
    for (const secret of secrets)
      assert.deepEqual(
        heard.filter((text) => text.includes(secret)).map((text) => text.slice(0, 300)),
        [],
        secret,
      )
  })
})

/** A logger that keeps what it is given, before anything is redacted. */
function logInto(lines: string[]): Logger {
  const keep = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`)
  return { debug: keep, info: keep, warn: keep, error: keep, child: () => logInto(lines) }
}
