import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { send } from './testing/send.ts'
import { startThingCloud, type ThingCloud } from './testing/thing-cloud.ts'

let cloud: ThingCloud
before(async () => {
  cloud = await startThingCloud()
})
after(() => cloud.dispose())

// Whatever is sent, the answer is one of these, and its body is of the kind that belongs to the status.
const JSON_STATUSES = [200, 202, 503]
const TEXT_STATUSES = [400, 404, 405]

const name = fc.constantFrom(
  'name',
  'size',
  'partNames',
  'labels',
  'systemTags',
  '__proto__',
  'constructor',
  '',
)
const value = fc.oneof(
  fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text)),
  fc.constantFrom(-1, 1e300, 2 ** 53),
)
const members = fc.dictionary(fc.oneof(name, fc.string({ maxLength: 8 })), value, { maxKeys: 5 })
const body = fc.oneof(
  members,
  value,
  members.map((inner) => ({ params: inner })),
  members.map((inner) => ({ updateThing: inner, systemTags: ['a'] })),
)
const path = fc.oneof(
  fc.constantFrom('/things', '/things/u/actions', '/things/u', '/things/echo/w', '/things/u/attachments/v'),
  fc.constantFrom('/things/u/valid', '/api-jobs/x', '/accounts/login', '/contract', '/', '//', '/%2e%2e/x'),
  fc.string({ maxLength: 12 }).map((text) => `/things/${encodeURIComponent(text)}`),
)
const query = fc.oneof(
  fc.constant(''),
  fc.webQueryParameters(),
  fc
    .array(
      fc.tuple(
        fc.constantFrom('q', 'limit', 'names.0', 'names', 'numbers.a', 'groups.b', 'fields', 'sort'),
        fc.string(),
      ),
    )
    .map((pairs) => pairs.map(([key, text]) => `${key}=${encodeURIComponent(text)}`).join('&')),
)
const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE')

test('REST: no input makes anything but a documented answer', async () => {
  const property = fc.asyncProperty(method, path, query, body, async (verb, where, search, content) => {
    const hasBody = verb === 'POST' || verb === 'PUT'
    const url = `/zstack/v1${where}${search === '' ? '' : `?${search}`}`
    const answer = await send(cloud, verb, url, hasBody ? { body: content } : {})
    if (JSON_STATUSES.includes(answer.status)) {
      const { error } = answer.json()
      assert.equal(answer.status === 503, error !== undefined)
      if (error !== undefined) assert.notEqual(error.code, 'SYS.1000', answer.text)
      return
    }
    assert.ok(TEXT_STATUSES.includes(answer.status), `${answer.status} ${answer.text}`)
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/)
  })
  await fc.assert(property, { numRuns: 300 })
})

test('legacy: no input makes anything but an envelope or a 400', async () => {
  const messages = fc.constantFrom('Create', 'Update', 'Query', 'Echo', 'Delete', 'Validate')
  const property = fc.asyncProperty(messages, value, members, async (kind, odd, content) => {
    const sent = { ...content, session: odd, conditions: odd, limit: odd }
    const request = { [`org.zstack.thing.API${kind}ThingMsg`]: sent }
    const answer = await send(cloud, 'POST', '/zstack/api', { body: request })
    assert.equal(answer.status, 200, answer.text)
    assert.ok(['Done', 'Processing'].includes(answer.json().state))
    if (answer.json().state === 'Done') assert.ok(!answer.json().result.includes('SYS.1000'), answer.text)
  })
  await fc.assert(property, { numRuns: 150 })
})
