import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { newUuid } from '#kernel'
import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { queryZone } from '#plugins/zone/contract/apis.ts'
import { assertRefused, createTestCloud, inventoryOf, waitFor } from '#testkit'
import { queryAccount, updateAccount } from '../contract/account-apis.ts'
import { logInByAccount, logOut, renewSession, validateSession } from '../contract/session-apis.ts'
import { adminUuid } from '../handlers.ts'
import { sentForm } from '../password.ts'

async function start(t: TestContext) {
  const lines: string[] = []
  const write = (...parts: unknown[]) => void lines.push(JSON.stringify(parts))
  const log = { debug: write, info: write, warn: write, error: write, child: () => log }
  const cloud = await createTestCloud({ log })
  t.after(() => cloud.dispose())
  const logIn = async (password = 'password', accountName = 'admin') =>
    inventoryOf(await cloud.call(logInByAccount, { accountName, password: sentForm(password) }))
  const ask = (sessionUuid: string | undefined) =>
    cloud.cloud.dispatcher.call({ api: queryZone, params: {}, query: { conditions: [] }, sessionUuid })
  const valid = async (sessionUuid: string) => (await cloud.call(validateSession, { sessionUuid })).valid
  const configure = (name: string, value: string) =>
    cloud.call(updateGlobalConfig, { category: 'identity', name, value })
  return { cloud, lines, logIn, ask, valid, configure }
}
const expired = { code: 'ID.1001', message: /Session expired/ }

test('a log-in gives a session that serves until the log-out', async (t) => {
  const { cloud, logIn, ask, valid } = await start(t)
  const session = await logIn()
  assert.deepEqual([session.accountUuid, session.userUuid], [adminUuid, adminUuid])
  assert.ok(session.expiredDate > Date.now() + 7_000_000)
  assert.deepEqual(await ask(session.uuid), { inventories: [] })
  assert.equal(await valid(session.uuid), true)
  assert.deepEqual(await cloud.call(logOut, { sessionUuid: session.uuid }), {})
  assert.equal(await valid(session.uuid), false)
  await assert.rejects(ask(session.uuid), expired)
  assert.deepEqual(await cloud.call(logOut, { sessionUuid: session.uuid }), {}, 'twice is fine')
  await assert.rejects(ask(undefined), expired)
  await assert.rejects(ask(newUuid()), expired)
})

test('wrong passwords and unknown names are refused alike; after five the name has to wait', async (t) => {
  const { cloud, logIn } = await start(t)
  const wrong = { code: 'ID.1000', says: /^wrong account name or password$/ }
  const input = { accountName: 'admin', password: sentForm('guess') }
  await assertRefused(cloud, logInByAccount, { ...input, accountName: 'nobody' }, wrong)
  await assertRefused(cloud, logInByAccount, { ...input, password: 'password' }, wrong)
  for (let i = 0; i < 4; i += 1) await assertRefused(cloud, logInByAccount, input, wrong)
  const wait = { code: 'ID.1000', message: /too many failed log-ins; try again in \d+ s/ }
  await assert.rejects(logIn(), wait)
  await assert.rejects(logIn('guess', 'other'), { code: 'ID.1000', message: /wrong account name/ })
  await waitFor('the pause to end', () => logIn())
  const none = { code: 'SYS.1007', field: 'password', says: /mandatory/ }
  await assertRefused(cloud, logInByAccount, { accountName: 'admin' }, none)
})

test('a flood of guesses at the same time is slowed down as well', async (t) => {
  const { logIn } = await start(t)
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => logIn('guess')))
  const slowed = results.filter((r) => r.status === 'rejected' && /too many failed/.test(String(r.reason)))
  assert.ok(slowed.length >= 15, `${slowed.length} of 20 were told to wait`)
})

test('sessions end after the configured time, unless they are used or renewed', async (t) => {
  const { cloud, logIn, ask, valid, configure } = await start(t)
  await configure('session.timeout', '1')
  const unused = await logIn()
  const renewed = await logIn()
  const until = inventoryOf(await cloud.call(renewSession, { sessionUuid: renewed.uuid, duration: 3600 }))
  assert.ok(until.expiredDate > Date.now() + 3_000_000)
  await waitFor('the session to end', async () => (await valid(unused.uuid)) === false)
  await assert.rejects(ask(unused.uuid), expired)
  await ask(renewed.uuid)
})

test('a renewal is refused for a duration out of range and for a session that is none', async (t) => {
  const { cloud, logIn } = await start(t)
  const { uuid: sessionUuid } = await logIn()
  const range = { code: 'SYS.1007', field: 'duration', says: /between 60 and 31536000/ }
  await assertRefused(cloud, renewSession, { sessionUuid, duration: 5 }, range)
  const missing = { code: 'SYS.1003', field: 'sessionUuid', says: /not exist/ }
  await assertRefused(cloud, renewSession, { sessionUuid: newUuid() }, missing)
})

test('an account has no more sessions than configured', async (t) => {
  const { cloud, logIn, configure } = await start(t)
  await configure('session.maxConcurrent', '2')
  const second = await logIn()
  await assert.rejects(logIn(), { code: 'ID.1006', message: /has 2 sessions .*log out of some/ })
  await cloud.call(logOut, { sessionUuid: second.uuid })
  await logIn()
})

test('a changed password counts at once and after a restart; the old one is checked when given', async (t) => {
  const { cloud, logIn } = await start(t)
  const change = { uuid: adminUuid, password: sentForm('secret') }
  const wrongOld = { ...change, oldPassword: sentForm('guess') }
  await assertRefused(cloud, updateAccount, wrongOld, { code: 'ID.1000', says: /old password is wrong/ })
  const input = { ...change, oldPassword: sentForm('password'), description: 'the boss' }
  const shown = inventoryOf(await cloud.call(updateAccount, input))
  assert.deepEqual([shown.name, shown.description, 'password' in shown], ['admin', 'the boss', false])
  await assert.rejects(logIn(), { code: 'ID.1000' })
  assert.ok(await logIn('secret'))
  await cloud.call(updateAccount, { uuid: adminUuid, password: sentForm('password') })
  await cloud.restart()
  await logIn()
})

test('a password is stored as argon2id only, and is neither shown, searched by nor logged', async (t) => {
  const { cloud, lines, logIn } = await start(t)
  await cloud.call(updateAccount, { uuid: adminUuid, password: sentForm('s3cret') })
  await logIn('s3cret')
  const [row] = await cloud.cloud.context.db.all('SELECT password FROM AccountVO', [])
  assert.match(String(row?.password), /^argon2id\$64,1\$[0-9a-f]{32}\$[0-9a-f]{64}$/)
  assert.equal(JSON.stringify(await cloud.query(queryAccount)).includes('argon2id'), false)
  const condition = { name: 'password', op: 'like' as const, value: 'argon2id%' }
  for (const request of [{ conditions: [condition] }, { sortBy: 'password' }, { fields: ['password'] }])
    await assert.rejects(cloud.query(queryAccount, request), { code: 'SYS.1007' })
  const said = lines.join('\n')
  for (const secret of [sentForm('s3cret'), 's3cret', 'argon2id$']) assert.equal(said.includes(secret), false)
})
