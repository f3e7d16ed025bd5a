import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { newUuid } from '#kernel'
import { legacy, newThing, send } from './testing/send.ts'
import { goodSession, startThingCloud, type ThingCloud } from './testing/thing-cloud.ts'

let cloud: ThingCloud
before(async () => {
  cloud = await startThingCloud()
})
after(() => cloud.dispose())

const post = (body: unknown, path = '/zstack/api') => send(cloud, 'POST', path, { body, session: undefined })
const TIME = /^[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:\d\d:\d\d [AP]M$/

test('a sync call is done at once; its result is compact JSON in a string', async () => {
  const answer = await post({ 'org.zstack.header.apimediator.APIIsReadyToGoMsg': {} })
  assert.equal(answer.status, 200)
  const { state, createdDate, finishedDate, result, ...rest } = answer.json()
  assert.deepEqual(rest, {})
  assert.equal(state, 'Done')
  assert.match(createdDate, TIME)
  assert.match(finishedDate, TIME)
  assert.equal(result, '{"org.zstack.header.apimediator.APIIsReadyToGoReply":{"success":true}}')
})

test('a job is Processing, then Done under its uuid', async () => {
  const body = { 'org.zstack.thing.APICreateThingMsg': { name: '<a>', session: { uuid: goodSession } } }
  const first = (await post(body, '/zstack/api/')).json()
  assert.equal(first.state, 'Processing')
  assert.match(first.uuid, /^[0-9a-f]{32}$/)
  const { envelope, replyClass, result } = await legacy(cloud, 'org.zstack.thing.APICreateThingMsg', {
    name: '<a>',
    partNames: ['p'],
  })
  assert.equal(replyClass, 'org.zstack.thing.APICreateThingEvent')
  assert.equal(result.success, true)
  assert.equal(result.inventory.createDate, 'Nov 14, 2017 2:20:57 PM')
  assert.equal(result.inventory.name, '<a>')
  assert.ok(envelope.result.includes('\\u003ca\\u003e'))
  assert.match(envelope.finishedDate, TIME)
})

test('id becomes the uuid; used twice it fails', async () => {
  const id = newUuid()
  const { envelope } = await legacy(cloud, 'org.zstack.thing.APICreateThingMsg', { name: 'a', id })
  assert.equal(envelope.uuid, id)
  const again = await legacy(cloud, 'org.zstack.thing.APICreateThingMsg', { name: 'a', id })
  assert.deepEqual([again.result.success, again.result.error.code], [false, 'SYS.1007'])
})

test('PUT sends and polls as well', async () => {
  const body = { 'org.zstack.thing.APIValidateThingMsg': { uuid: 'good' } }
  const sent = await send(cloud, 'PUT', '/zstack/api', { body })
  assert.equal(JSON.parse(sent.json().result)['org.zstack.thing.APIValidateThingReply'].validThing, true)
  const { envelope } = await legacy(cloud, 'org.zstack.thing.APICreateThingMsg', { name: 'a' })
  const polled = await send(cloud, 'PUT', `/zstack/api/result/${envelope.uuid}`)
  assert.equal(polled.json().state, 'Done')
  assert.equal((await send(cloud, 'GET', '/zstack/api')).status, 405)
  assert.equal((await send(cloud, 'DELETE', `/zstack/api/result/${envelope.uuid}`)).status, 405)
})

test('members have their own names at this door', async () => {
  const { result } = await legacy(cloud, 'org.zstack.thing.APIValidateThingMsg', { uuid: 'bad' })
  assert.deepEqual(result, { validThing: false, success: true })
})

test('failures are results with success false, sync and async', async () => {
  const { uuid } = await newThing(cloud)
  const broken = await legacy(cloud, 'org.zstack.thing.APIBreakThingMsg', { uuid })
  assert.equal(broken.result.success, false)
  assert.equal(broken.result.error.cause.code, 'SYS.1016')
  const stranger = await legacy(cloud, 'org.zstack.thing.APIQueryThingMsg', { session: {}, conditions: [] })
  assert.deepEqual([stranger.envelope.state, stranger.result.error.code], ['Done', 'ID.1001'])
})

test('strings are taken for numbers and booleans', async () => {
  const { result } = await legacy(cloud, 'org.zstack.thing.APIEchoThingMsg', {
    word: 'w',
    limit: '7',
    loud: 'true',
    headers: { x: 1 },
    serviceId: 'api',
  })
  assert.deepEqual(result.echo, { word: 'w', limit: 7, loud: true })
})

test('queries carry conditions with an op, and paging as strings', async () => {
  const name = `q-${newUuid()}`
  await newThing(cloud, { name, size: 5 })
  const ask = (content: object) => legacy(cloud, 'org.zstack.thing.APIQueryThingMsg', content)
  const conditions = [
    { name: 'name', op: '=', value: name },
    { name: 'size', op: '>=', value: 5 },
    { name: 'description', op: 'is null' },
  ]
  const one = await ask({ conditions, limit: '10', replyWithCount: 'true', sortBy: 'name', fields: ['name'] })
  assert.equal(one.replyClass, 'org.zstack.thing.APIQueryThingReply')
  assert.deepEqual(one.result, { inventories: [{ name }], total: 1, success: true })
  const counted = await ask({ conditions, count: 'true' })
  assert.deepEqual(counted.result, { total: 1, success: true })
  const bad = [
    {},
    { conditions: [{ name: 'name', op: '~~', value: 'x' }] },
    { conditions: ['x'] },
    { conditions: [], limit: 'x' },
    { conditions: [], sortBy: 'name', sortDirection: 'up' },
    { conditions: [{ name: 'name', op: '=' }] },
  ]
  for (const content of bad)
    assert.equal((await ask(content)).result.error.code, 'SYS.1007', JSON.stringify(content))
})

test('an unknown message is a 200 with a text, as the original answers', async () => {
  const answer = await post({ 'org.zstack.APINoSuchMsg': {} })
  assert.equal(answer.status, 200)
  assert.equal(answer.text, 'no such message: org.zstack.APINoSuchMsg')
})

test('what is no message is a 400 text, an unknown result a 404', async () => {
  for (const raw of ['{', '[]', '{}', '', '{"a":1,"b":2}', '{"org.zstack.thing.APIBreakThingMsg":[]}'])
    assert.equal((await send(cloud, 'POST', '/zstack/api', { raw })).status, 400, raw)
  assert.equal((await send(cloud, 'GET', `/zstack/api/result/${newUuid()}`)).status, 404)
  assert.equal((await send(cloud, 'GET', '/zstack/api/other')).status, 404)
})

test('a bug is an internal error for the client', async () => {
  const { result } = await legacy(cloud, 'org.zstack.thing.APICrashThingMsg')
  assert.equal(result.error.code, 'SYS.1000')
})

test('members of the wrong type are refused by name, whatever they are made of', async () => {
  const odd = { length: 3, toString: 'x', valueOf: 1 }
  for (const name of ['limit', 'start', 'fields']) {
    const content = { conditions: [], [name]: name === 'fields' ? [odd] : odd, count: odd, timeout: odd }
    const { result } = await legacy(cloud, 'org.zstack.thing.APIQueryThingMsg', content)
    assert.equal(result.error.code, 'SYS.1007')
    assert.equal(result.error.opaque.field, name)
  }
})

test('an id longer than any uuid is refused at once, and neither kept nor sent back', async () => {
  const id = 'x'.repeat(100_000)
  const answer = await post({ 'org.zstack.thing.APICreateThingMsg': { name: 'a', id } })
  assert.equal(answer.json().state, 'Done')
  assert.ok(answer.text.length < 2_000)
  assert.match(answer.json().result, /SYS\.1007/)
})
