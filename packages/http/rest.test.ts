import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { newUuid, waitFor } from '#kernel'
import { type Json, newThing, run, send } from './testing/send.ts'
import { startThingCloud, type ThingCloud } from './testing/thing-cloud.ts'

let cloud: ThingCloud
before(async () => {
  cloud = await startThingCloud({ webHookWait: async () => {} })
})
after(() => cloud.dispose())

const v1 = (method: string, path: string, options = {}) => send(cloud, method, `/zstack/v1${path}`, options)

describe('jobs', () => {
  test('a creation answers 202 with a location, whose poll gives the inventory', async () => {
    const answer = await v1('POST', '/things', { body: { params: { name: 'a' } } })
    assert.equal(answer.status, 202)
    const { location, apiTimeout, ...rest } = answer.json()
    assert.deepEqual(rest, {})
    assert.equal(apiTimeout, 10_800_000)
    assert.match(location, new RegExp(`^http://127.0.0.1:${cloud.port}/zstack/v1/api-jobs/[0-9a-f]{32}$`))
    const { inventory } = (await run(cloud, 'POST', '/things', { body: { params: { name: 'b' } } })).json()
    assert.equal(inventory.name, 'b')
  })

  test('a running job polls as 202 with an empty object, without any authorization', async () => {
    const { location } = (await v1('POST', '/things/waits')).json()
    const poll = await send(cloud, 'GET', new URL(location).pathname, { session: undefined })
    assert.deepEqual([poll.status, poll.text], [202, '{}'])
    cloud.release()
    const end = await waitFor('the job to end', async () => {
      const again = await send(cloud, 'GET', new URL(location).pathname, { session: undefined })
      return again.status === 200 ? again : undefined
    })
    assert.equal(end.text, '{}')
  })

  test('an unknown job is a 404 text, another method a 405', async () => {
    const unknown = await v1('GET', `/api-jobs/${newUuid()}`)
    assert.deepEqual([unknown.status, unknown.text], [404, 'the job has been expired'])
    assert.equal((await v1('DELETE', `/api-jobs/${newUuid()}`)).status, 405)
  })

  test('a failed job is a 503 whose body has exactly the member error, not escaped', async () => {
    const { uuid } = await newThing(cloud)
    const answer = await run(cloud, 'PUT', `/things/${uuid}/actions`, { body: { breakThing: {} } })
    assert.equal(answer.status, 503)
    assert.deepEqual(Object.keys(answer.json()), ['error'])
    const { error } = answer.json()
    assert.equal(error.code, 'SYS.1006')
    assert.equal(error.description, 'The operation failed')
    assert.equal(error.details, 'it broke')
    assert.equal(error.cause.details, 'the disk is <full>')
    assert.ok(answer.text.includes('<full>'))
  })

  test('an unknown session is accepted and fails in the job', async () => {
    const accepted = await v1('POST', '/things', { body: { params: { name: 'a' } }, session: newUuid() })
    assert.equal(accepted.status, 202)
    const poll = await send(cloud, 'GET', new URL(accepted.json().location).pathname)
    assert.deepEqual([poll.status, poll.json().error.code], [503, 'ID.1001'])
    assert.equal(poll.json().error.details, 'Session expired')
  })

  test('X-Job-UUID becomes the id; 32 characters, not used before', async () => {
    const id = newUuid()
    const headers = { 'X-Job-UUID': id }
    const first = await v1('POST', '/things', { body: { params: { name: 'a' } }, headers })
    assert.ok(first.json().location.endsWith(`/api-jobs/${id}`))
    const second = await v1('POST', '/things', { body: { params: { name: 'a' } }, headers })
    assert.deepEqual([second.status, second.text], [400, `Duplicate job uuid[${id}]`])
    assert.equal((await v1('POST', '/things', { headers: { 'X-Job-UUID': 'short' } })).status, 400)
  })

  test('X-API-Timeout is told back in milliseconds and checked', async () => {
    const options = (seconds: string) => ({
      body: { params: { name: 'a' } },
      headers: { 'X-API-Timeout': seconds },
    })
    assert.equal((await v1('POST', '/things', options('60'))).json().apiTimeout, 60_000)
    assert.equal((await v1('POST', '/things', options('soon'))).status, 400)
  })
})

describe('routing', () => {
  test('an unknown path is a 404 text', async () => {
    const answer = await v1('GET', '/nothing')
    assert.deepEqual([answer.status, answer.text], [404, 'no api mapping to /nothing'])
  })

  test('a method the path does not have is a 405 that names those it has', async () => {
    const answer = await v1('DELETE', '/things')
    assert.equal(answer.status, 405)
    assert.equal(answer.headers.get('allow'), 'GET, POST')
    assert.equal((await v1('PATCH', '/things')).status, 405)
  })

  test('PUT chooses by the key of the body', async () => {
    const { uuid } = await newThing(cloud)
    const body = { updateThing: { name: 'renamed' } }
    const answer = await run(cloud, 'PUT', `/things/${uuid}/actions`, { body })
    assert.equal(answer.json().inventory.name, 'renamed')
    const none = await v1('PUT', `/things/${uuid}/actions`, { body: { fly: {} } })
    assert.equal(none.status, 400)
    assert.match(none.text, /updateThing, breakThing/)
  })

  test('the path is percent-decoded', async () => {
    const answer = await v1('GET', '/things/echo/a%20b%2Bc')
    assert.equal(answer.json().echo.word, 'a b+c')
    assert.equal((await v1('GET', '/things/echo/a%2Fb')).json().echo.word, 'a/b')
    assert.equal((await v1('GET', '/things/echo/%zz')).status, 400)
  })

  test('HEAD answers like GET without a body', async () => {
    const answer = await v1('HEAD', '/things')
    assert.deepEqual([answer.status, answer.text], [200, ''])
  })
})

describe('sessions', () => {
  test('the header must be there and be OAuth', async () => {
    const missing = await v1('GET', '/things', { session: undefined })
    assert.deepEqual([missing.status, missing.text], [400, "missing header 'Authorization'"])
    const basic = await v1('GET', '/things', { session: undefined, headers: { authorization: 'Basic x' } })
    assert.deepEqual([basic.status, basic.text], [400, "Authorization type must be 'OAuth'"])
  })

  test('an unknown session of a sync call is a 503', async () => {
    const answer = await v1('GET', '/things', { session: newUuid() })
    assert.deepEqual([answer.status, answer.json().error.code], [503, 'ID.1001'])
  })

  test('APIs without session ignore the header', async () => {
    const answer = await v1('GET', '/things/good/valid', { session: undefined })
    assert.deepEqual([answer.status, answer.text], [200, '{"valid":true}'])
    const odd = { session: undefined, headers: { authorization: 'Basic x' } }
    assert.equal((await v1('GET', '/things/good/valid', odd)).status, 200)
  })
})

describe('bodies', () => {
  const attach = async (body: unknown) =>
    (await v1('POST', '/things/u1/attachments/u2', { body })).json().echo

  test('the empty key holds parameters, and so does params', async () => {
    assert.deepEqual(await attach({ '': { slot: 3 } }), { uuid: 'u1', toUuid: 'u2', slot: 3 })
    assert.deepEqual(await attach({ params: { slot: 4 } }), { uuid: 'u1', toUuid: 'u2', slot: 4 })
  })

  test('no body, null and a missing key mean no parameters', async () => {
    for (const body of [undefined, null, {}, { requestIp: '1.2.3.4' }])
      assert.deepEqual(await attach(body), { uuid: 'u1', toUuid: 'u2' })
  })

  test('variables of the path win over the body', async () => {
    assert.deepEqual(await attach({ '': { uuid: 'other', slot: 1 } }), { uuid: 'u1', toUuid: 'u2', slot: 1 })
  })

  test('tags are read beside the parameters and inside them; beside wins', async () => {
    assert.deepEqual((await attach({ params: { systemTags: ['in'] } })).systemTags, ['in'])
    const both = await attach({ params: { systemTags: ['in'] }, systemTags: ['out'], userTags: ['u'] })
    assert.deepEqual([both.systemTags, both.userTags], [['out'], ['u']])
  })

  test('the content type does not matter', async () => {
    const raw = '{"":{"slot":5}}'
    const answer = await v1('POST', '/things/u1/attachments/u2', {
      raw,
      headers: { 'content-type': 'text/x' },
    })
    assert.equal(answer.json().echo.slot, 5)
  })

  test('what is no JSON object is a 400 text', async () => {
    for (const raw of ['{', '[]', '7', '"x"', '{"params":[]}', '{"params":"x"}', '['.repeat(100_000)]) {
      const answer = await v1('POST', '/things', { raw })
      assert.equal(answer.status, 400, raw.slice(0, 20))
      assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/)
    }
  })

  test('a body over 4 MiB is a 400 text', async () => {
    const answer = await v1('POST', '/things', { raw: `"${'x'.repeat(4 * 1024 * 1024)}"` })
    assert.deepEqual([answer.status, /larger than 4194304/.test(answer.text)], [400, true])
  })

  test('numbers and booleans of the wrong type are a 400 text, values out of range a failed job', async () => {
    const wrong = await v1('POST', '/things', { body: { params: { name: 'a', size: 1.5 } } })
    assert.deepEqual([wrong.status, /'size' of CreateThing/.test(wrong.text)], [400, true])
    const range = await run(cloud, 'POST', '/things', { body: { params: { name: 'a', size: -1 } } })
    assert.deepEqual([range.status, range.json().error.code], [503, 'SYS.1007'])
  })
})

describe('query strings', () => {
  const echo = async (query: string) => (await v1('GET', `/things/echo/w?${query}`)).json().echo

  test('lists by repetition or by index', async () => {
    assert.deepEqual((await echo('names=b&names=a')).names, ['b', 'a'])
    assert.deepEqual((await echo('names.1=b&names.0=a')).names, ['a', 'b'])
  })

  test('maps by key, list-valued ones by repetition', async () => {
    assert.deepEqual((await echo('numbers.one=1&numbers.two=2')).numbers, { one: 1, two: 2 })
    assert.deepEqual((await echo('groups.x=1&groups.x=2&groups.y=3')).groups, { x: ['1', '2'], y: ['3'] })
    assert.equal((await v1('GET', '/things/echo/w?numbers.one=1&numbers.one=2')).status, 400)
  })

  test('scalars once, of the right type, unknown names ignored, plus is a space', async () => {
    assert.deepEqual(await echo('limit=7&loud=true&what=ever'), { word: 'w', limit: 7, loud: true })
    assert.deepEqual((await echo('names=a+b%2B')).names, ['a b+'])
    assert.equal((await v1('GET', '/things/echo/w?limit=1&limit=2')).status, 400)
    assert.equal((await v1('GET', '/things/echo/w?limit=many')).status, 400)
    assert.equal((await v1('GET', '/things/echo/w?loud=perhaps')).status, 400)
    assert.equal((await v1('GET', '/things/echo/w?names=%zz')).status, 400)
  })

  test('DELETE takes its parameters from there and succeeds for what is gone', async () => {
    const { uuid } = await newThing(cloud)
    const gone = await run(cloud, 'DELETE', `/things/${uuid}?deleteMode=Enforcing`)
    assert.deepEqual([gone.status, gone.text], [200, '{}'])
    assert.equal((await run(cloud, 'DELETE', `/things/${uuid}`)).status, 200)
    const wrongMode = await run(cloud, 'DELETE', `/things/${uuid}?deleteMode=Maybe`)
    assert.equal(wrongMode.json().error.code, 'SYS.1007')
  })
})

describe('bodies of replies', () => {
  test('times are text, nulls are left out, secrets and hidden members are not shown', async () => {
    const inventory = await newThing(cloud, { password: 'geheim', partNames: ['p'] })
    assert.equal(inventory.createDate, 'Nov 14, 2017 2:20:57 PM')
    assert.equal(inventory.parts[0].createDate, 'Nov 14, 2017 2:20:57 PM')
    for (const name of ['description', 'password', 'internalNote']) assert.ok(!(name in inventory), name)
  })

  test('a client may ask for times in milliseconds', async () => {
    const { uuid } = await newThing(cloud)
    const answer = await v1('GET', `/things/${uuid}`, { headers: { 'X-Time-Format': 'epoch-ms' } })
    assert.equal(answer.json().inventories[0].createDate, new Date(2017, 10, 14, 14, 20, 57).getTime())
  })

  test('< > & = and the apostrophe are escaped', async () => {
    const answer = await v1('GET', `/things/echo/${encodeURIComponent("<a>&b='c'")}`)
    assert.ok(answer.text.includes('\\u003ca\\u003e\\u0026b\\u003d\\u0027c\\u0027'), answer.text)
    assert.equal(answer.json().echo.word, "<a>&b='c'")
  })

  test('times in declared structs and outputs are text; the schema names the class of a struct', async () => {
    const answer = await v1('GET', '/things/echo/w?at=0', { headers: { 'X-JSON-Schema': 'true' } })
    const { at, detail, schema } = answer.json()
    assert.match(at, /^(Jan 1, 1970|Dec 31, 1969) \d{1,2}:\d\d:\d\d [AP]M$/)
    assert.equal(detail.since, at)
    assert.deepEqual(schema, { detail: 'org.zstack.thing.Detail' })
  })

  test('the schema comes with queries always, with others when asked, and knows subclasses', async () => {
    const { uuid } = await newThing(cloud, { type: 'Big', partNames: ['p', 'q'] })
    const answer = (await v1('GET', `/things/${uuid}`)).json()
    assert.equal(answer.inventories[0].weight, 7)
    assert.deepEqual(Object.entries(answer.schema), [
      ['inventories[0]', 'org.zstack.thing.BigThingInventory'],
      ['inventories[0].parts[0]', 'org.zstack.thing.PartInventory'],
      ['inventories[0].parts[1]', 'org.zstack.thing.PartInventory'],
    ])
    const plain = await run(cloud, 'PUT', `/things/${uuid}/actions`, { body: { updateThing: {} } })
    assert.ok(!('schema' in plain.json()))
  })
})

describe('queries', () => {
  let names: string[]
  before(async () => {
    const suffix = newUuid().slice(0, 6)
    names = ['x', 'y', 'z'].map((letter) => `${letter}-${suffix}`)
    for (const [size, name] of names.entries())
      await newThing(cloud, { name, size, partNames: [`of-${name}`] })
  })
  const query = async (text: string) => (await v1('GET', `/things?${text}`)).json()
  const found = async (text: string) => (await query(text)).inventories.map((i: Json) => i.name).sort()

  test('conditions are joined by and', async () => {
    assert.deepEqual(await found(`q=name=${names[1]}`), [names[1]])
    assert.deepEqual(await found(`q=name?=${names.join(',')}&q=size>0&q=size%3C2`), [names[1]])
    assert.deepEqual(await found(`q=parts.name=of-${names[2]}`), [names[2]])
    assert.deepEqual(await found(`q=name~=x-%25&q=name=${names[0]}&q=description is null`), [names[0]])
  })

  test('limit, start, sort, fields, count and replyWithCount', async () => {
    const all = `q=name?=${names.join(',')}`
    const sorted = await query(`${all}&sort=-name&limit=2`)
    assert.deepEqual(
      sorted.inventories.map((i: Json) => i.name),
      [names[2], names[1]],
    )
    assert.equal((await query(`${all}&sort=+name&start=2`)).inventories[0].name, names[2])
    assert.deepEqual((await query(`${all}&fields=name&sort=name`)).inventories[0], { name: names[0] })
    const counted = await query(`${all}&count=true`)
    assert.deepEqual([counted.total, 'inventories' in counted], [3, false])
    const both = await query(`${all}&replyWithCount=true&limit=1`)
    assert.deepEqual([both.total, both.inventories.length], [3, 1])
  })

  test('a condition without operator and a number that is none are 400 texts', async () => {
    for (const bad of [
      'q=nonsense',
      'limit=x',
      'start=-1',
      'limit=1&limit=2',
      'count=maybe',
      'filterName=a:b',
    ])
      assert.equal((await v1('GET', `/things?${bad}`)).status, 400, bad)
  })

  test('an unknown field is a 503 that names the nearest', async () => {
    const answer = await v1('GET', '/things?q=nam=x')
    assert.equal(answer.status, 503)
    assert.match(answer.json().error.details, /did you mean 'name'/)
  })

  test('GET by uuid is a list of one or none and ignores the query string', async () => {
    const { uuid } = await newThing(cloud)
    const one = (await v1('GET', `/things/${uuid}?q=name=other&limit=x`)).json()
    assert.equal(one.inventories[0].uuid, uuid)
    const none = await v1('GET', `/things/${newUuid()}`)
    assert.deepEqual([none.status, none.json()], [200, { inventories: [], schema: {} }])
  })
})

test('a bug is an internal error for the client', async () => {
  const answer = await v1('PUT', '/things/actions', { body: { crashThing: {} } })
  assert.deepEqual([answer.status, answer.json().error.code], [503, 'SYS.1000'])
})

describe('web hooks', () => {
  interface Delivery {
    readonly headers: NodeJS.Dict<string | string[]>
    readonly body: string
  }
  /** Answers 500 `failures` times, then 200. */
  const startReceiver = async (failures: number) => {
    const deliveries: Delivery[] = []
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('end', () => {
        deliveries.push({ headers: request.headers, body })
        response.writeHead(deliveries.length <= failures ? 500 : 200).end()
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
    return { url, deliveries, [Symbol.dispose]: () => void server.close() }
  }

  test('the result is posted, again and again until it is taken', async () => {
    using receiver = await startReceiver(3)
    const id = newUuid()
    const headers = { 'X-Web-Hook': receiver.url, 'X-Job-UUID': id }
    assert.equal((await v1('POST', '/things', { body: { params: { name: 'h' } }, headers })).status, 202)
    await waitFor('four deliveries', () => receiver.deliveries.length === 4)
    const last = receiver.deliveries[3]
    assert.equal(last?.headers['x-job-uuid'], id)
    assert.equal(last?.headers['x-job-success'], 'true')
    assert.equal(last?.headers['content-type'], 'application/json; charset=utf-8')
    assert.equal(JSON.parse(last?.body ?? '').inventory.name, 'h')
  })

  test('16 attempts are all; a failure is told as one', async () => {
    using receiver = await startReceiver(100)
    const headers = { 'X-Web-Hook': receiver.url }
    await v1('POST', '/things', { body: { params: {} }, headers })
    await waitFor('16 deliveries', () => receiver.deliveries.length === 16)
    assert.equal(receiver.deliveries[0]?.headers['x-job-success'], 'false')
    assert.equal(JSON.parse(receiver.deliveries[0]?.body ?? '').error.code, 'SYS.1007')
  })

  test('a stranger cannot make the server call a URL, and only http URLs are called', async () => {
    using receiver = await startReceiver(0)
    const headers = { 'X-Web-Hook': receiver.url }
    await run(cloud, 'POST', '/things', { body: { params: { name: 'h' } }, headers, session: newUuid() })
    await run(cloud, 'POST', '/things', { body: { params: { name: 'second' } }, headers })
    await waitFor('the delivery of the second', () => receiver.deliveries.length === 1)
    assert.equal(JSON.parse(receiver.deliveries[0]?.body ?? '').inventory.name, 'second')
    assert.equal(
      (await v1('POST', '/things', { headers: { 'X-Web-Hook': 'file:///etc/passwd' } })).status,
      400,
    )
  })
})
