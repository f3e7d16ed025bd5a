import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  bool,
  defineApi,
  defineQuery,
  defineResource,
  inventory,
  list,
  map,
  text,
  timestamp,
} from '#contract'
import { CloudError } from '#kernel'
import { createClient } from './client.ts'

const zone = defineResource({
  name: 'Zone',
  className: 'org.zstack.header.zone.ZoneInventory',
  fields: { uuid: text('Uuid.'), name: text('Name.'), createDate: timestamp('Since.') },
})
const createZone = defineApi({
  name: 'CreateZone',
  message: 'x.APICreateZoneMsg',
  path: '/zones',
  summary: 'Create a zone.',
  input: { name: text('Name.') },
  output: { inventory: inventory(zone) },
})
const isValid = defineApi({
  name: 'IsValid',
  message: 'x.APIIsValidMsg',
  kind: 'sync',
  method: 'GET',
  path: '/zones/{uuid}/valid',
  summary: 'Tell.',
  input: {
    uuid: text('Uuid.'),
    names: list('Names.', text('Name.')),
    labels: map('Labels.', text('Label.')),
  },
  output: { valid: bool('Whether.') },
})
const updateZone = defineApi({
  name: 'UpdateZone',
  message: 'x.APIUpdateZoneMsg',
  kind: 'sync',
  method: 'PUT',
  path: '/zones/{uuid}/actions',
  summary: 'Change.',
  input: { uuid: text('Uuid.'), name: text('Name.') },
})
const queryZone = defineQuery({
  name: 'QueryZone',
  message: 'x.APIQueryZoneMsg',
  path: '/zones',
  resource: zone,
})

interface Sent {
  readonly method: string
  readonly url: string
  readonly headers: Headers
  readonly body: unknown
}

/** Answers each request with the next of `answers` and remembers what was sent. */
function scripted(...answers: readonly (readonly [number, unknown])[]) {
  const sent: Sent[] = []
  const fetch = async (url: string | URL | Request, init: RequestInit = {}) => {
    const body = init.body === undefined ? undefined : JSON.parse(String(init.body))
    sent.push({ method: init.method ?? 'GET', url: String(url), headers: new Headers(init.headers), body })
    const [status, answer] = answers[sent.length - 1] ?? [500, 'no more answers']
    return new Response(typeof answer === 'string' ? answer : JSON.stringify(answer), { status })
  }
  return { sent, client: createClient({ baseUrl: 'http://node:8080/', fetch, sessionUuid: 's1' }) }
}

test('a job is submitted and polled at the address the client knows until it ends', async () => {
  const uuid = 'a'.repeat(32)
  const created = { uuid: 'z1', name: 'z', createDate: 5 }
  const { client, sent } = scripted(
    [202, { location: `http://10.9.9.9:1/zstack/v1/api-jobs/${uuid}` }],
    [202, {}],
    [202, {}],
    [200, { inventory: created }],
  )
  const output = await client.call(createZone, { name: 'z', systemTags: ['t'] }, { timeoutMs: 1500 })
  const name: string = output.inventory.name
  assert.deepEqual([name, output.inventory.createDate], ['z', 5])
  assert.equal(sent[0]?.url, 'http://node:8080/zstack/v1/zones')
  assert.deepEqual(sent[0]?.body, { params: { name: 'z' }, systemTags: ['t'] })
  assert.equal(sent[0]?.headers.get('authorization'), 'OAuth s1')
  assert.equal(sent[0]?.headers.get('x-api-timeout'), '2')
  assert.deepEqual(
    sent.slice(1).map((s) => s.url),
    Array(3).fill(`http://node:8080/zstack/v1/api-jobs/${uuid}`),
  )
})

test('parameters go into the path, the query string or under the key of the action', async () => {
  const { client, sent } = scripted([200, { valid: true }], [200, {}])
  const { valid } = await client.call(isValid, { uuid: 'a/b', names: ['x', 'y z'], labels: { k: 'v' } })
  const isIt: boolean = valid
  assert.equal(isIt, true)
  assert.equal(sent[0]?.url, 'http://node:8080/zstack/v1/zones/a%2Fb/valid?names=x&names=y%20z&labels.k=v')
  await client.call(updateZone, { uuid: 'u', name: 'n' })
  assert.deepEqual([sent[1]?.method, sent[1]?.body], ['PUT', { updateZone: { name: 'n' } }])
  await assert.rejects(client.call(updateZone, { uuid: '', name: 'n' }), /UpdateZone needs uuid/)
})

test('queries', async () => {
  const { client, sent } = scripted([200, { inventories: [{ name: 'z' }], total: 9 }], [200, { total: 3 }])
  const options = { limit: 1, sort: '-name', fields: ['name', 'uuid'], replyWithCount: true }
  const found = await client.query<{ name: string }>(queryZone, ['name~=z%', 'uuid!=x'], options)
  assert.deepEqual([found.inventories[0]?.name, found.total], ['z', 9])
  const url = new URL(sent[0]?.url ?? '')
  assert.deepEqual(url.searchParams.getAll('q'), ['name~=z%', 'uuid!=x'])
  assert.equal(url.searchParams.get('fields'), 'name,uuid')
  assert.equal(url.searchParams.get('sort'), '-name')
  assert.deepEqual(await client.query(queryZone, [], { count: true }), { inventories: [], total: 3 })
})

test('logging in hashes the password and keeps the session', async () => {
  const { client, sent } = scripted([200, { inventory: { uuid: 's2', accountUuid: 'acc' } }])
  assert.deepEqual(await client.logIn('admin', 'password'), { accountUuid: 'acc' })
  assert.equal(client.sessionUuid, 's2')
  const body = sent[0]?.body as { logInByAccount: Record<string, string> } | undefined
  const { accountName, password } = body?.logInByAccount ?? {}
  assert.equal(accountName, 'admin')
  assert.match(
    password ?? '',
    /^b109f3bbbc244eb82441917ed06d618b9008dd09b3befd1b5e07394c706a8bb9[0-9a-f]{64}$/,
  )
})

test('an error object becomes a CloudError with its causes', async () => {
  const cause = { code: 'SYS.1016', description: 'd', details: 'disk full' }
  const error = { code: 'SYS.1006', description: 'The operation failed', details: 'it broke', cause }
  const { client } = scripted([202, { location: 'x/api-jobs/1' }], [503, { error }])
  await assert.rejects(client.call(createZone, { name: 'z' }), (thrown: unknown) => {
    assert.ok(thrown instanceof CloudError)
    assert.deepEqual([thrown.code, thrown.details], ['SYS.1006', 'it broke'])
    assert.equal((thrown.cause as CloudError).details, 'disk full')
    return true
  })
})

test('a text is told with its status, an unreachable server as such', async () => {
  const { client } = scripted([400, "missing header 'Authorization'"])
  await assert.rejects(client.call(createZone, { name: 'z' }), /answered with 400: missing header/)
  const failing = createClient({
    baseUrl: 'http://node:8080',
    fetch: async () => {
      throw new TypeError('fetch failed')
    },
  })
  await assert.rejects(failing.query(queryZone), /http:\/\/node:8080\/zstack\/v1 cannot be reached/)
})

test('a server that is away for a moment does not end the wait for a job', async () => {
  let requests = 0
  const fetch = async () => {
    requests += 1
    if (requests === 1) return Response.json({ location: 'x/api-jobs/1' }, { status: 202 })
    if (requests < 4) throw new TypeError('fetch failed')
    return Response.json({ inventory: { name: 'z' } })
  }
  const client = createClient({ baseUrl: 'http://node:8080', fetch })
  assert.equal((await client.call(createZone, { name: 'z' })).inventory.name, 'z')
})

test('waiting for a job can be given up', async () => {
  const { client } = scripted([202, { location: 'x/api-jobs/1' }], ...Array(50).fill([202, {}]))
  const signal = AbortSignal.timeout(30)
  await assert.rejects(client.call(createZone, { name: 'z' }, { signal }), /aborted due to timeout/)
})
