import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { createFetchGate, defaultGateLimits, type FetchGate, type GatePolicy } from './fetch-gate.ts'
import { sending, serve } from './testing.ts'

const signal = new AbortController().signal
const open: GatePolicy = { allowPrivateAddresses: true, filePrefixes: [], maxBytes: 1000 }
const closed: GatePolicy = { ...open, allowPrivateAddresses: false }
const hello = Buffer.from('hello')

const redirecting = (locations: Record<string, string>) =>
  ((request, response) => {
    const location = locations[request.url ?? '']
    if (location === undefined) sending(hello)(request, response)
    else response.writeHead(302, { location }).end()
  }) satisfies Parameters<typeof serve>[1]

test('a body is fetched with its size, host and credentials', async (t) => {
  const server = await serve(t, sending(hello))
  const gate = createFetchGate()
  const source = await gate(`http://us%40er:p%2Fw@127.0.0.1:${server.port}/a%20b?q=1`, open, signal)
  assert.equal(source.sizeBytes, 5)
  assert.deepEqual(await buffer(source.stream), hello)
  const authorization = `Basic ${Buffer.from('us@er:p/w').toString('base64')}`
  assert.deepEqual(server.seen, [{ path: '/a%20b?q=1', host: `127.0.0.1:${server.port}`, authorization }])
})

test('no spelling of an internal address gets through, and nothing is connected to', async (t) => {
  const server = await serve(t, sending(hello))
  const asked: string[] = []
  const gate = createFetchGate({
    resolve: async (name) => {
      asked.push(name)
      return ['127.0.0.1']
    },
  })
  const hosts = [
    ...[
      '127.0.0.1',
      '127.1',
      '2130706433',
      '017700000001',
      '0177.0.0.1',
      '0x7f000001',
      '0x7f.0.0.1',
      '127.0.0.1.',
    ],
    ...['localhost', 'LOCALHOST', 'internal.example', '①②⑦.0.0.1', '127。0。0。1', '%31%32%37.0.0.1'],
    ...['[::1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:ffff:7f00:1]', '[::127.0.0.1]'],
    ...['[64:ff9b::7f00:1]', '[2002:7f00:1::]', 'user:pw@127.0.0.1', 'example.com@127.0.0.1'],
  ]
  for (const host of hosts) {
    const rejected = gate(`http://${host}:${server.port}/`, closed, signal)
    await assert.rejects(rejected, { code: 'SYS.1007', message: /nothing is fetched from .*loopback/ }, host)
  }
  assert.deepEqual(server.seen, [])
  assert.deepEqual(asked, ['localhost', 'localhost', 'internal.example'])
})

test('link-local and unspecified addresses stay closed with private ones allowed', async () => {
  const gate = createFetchGate({ resolve: async () => ['169.254.169.254'] })
  const hosts = [
    '169.254.169.254',
    '0',
    '0.0.0.0',
    '2852039166',
    '[::]',
    '[::ffff:a9fe:a9fe]',
    '[fe80::1]',
    'metadata.test',
  ]
  for (const host of hosts) {
    await assert.rejects(gate(`http://${host}/latest/`, open, signal), /link-local|unspecified/, host)
  }
})

test('a name is resolved once and the address judged is the one connected to', async (t) => {
  const server = await serve(t, sending(hello), '127.0.0.5')
  const answers = [['127.0.0.5'], ['169.254.169.254']]
  const gate = createFetchGate({ resolve: async () => answers.shift() ?? [] })
  const url = `http://images.test:${server.port}/`
  const source = await gate(url, open, signal)
  assert.deepEqual(await buffer(source.stream), hello)
  assert.equal(answers.length, 1)
  assert.equal(server.seen[0]?.host, `images.test:${server.port}`)
  await assert.rejects(gate(url, open, signal), /169\.254\.169\.254 \(resolved from images\.test\)/)
})

test('one internal address among public ones refuses the name', async () => {
  const gate = createFetchGate({ resolve: async () => ['1.1.1.1', '10.0.0.1'] })
  await assert.rejects(gate('http://mixed.test/', closed, signal), /10\.0\.0\.1 .*private/)
  const failing = createFetchGate({ resolve: () => Promise.reject(new Error('ENOTFOUND')) })
  await assert.rejects(failing('http://gone.test/', closed, signal), /gone\.test cannot be resolved/)
})

test('each redirect is judged anew', async (t) => {
  const locations: Record<string, string> = {
    '/metadata': 'http://169.254.169.254/latest/meta-data/',
    '/mapped': 'http://[::ffff:169.254.169.254]/',
    '/file': 'file:///etc/passwd',
    '/gopher': 'gopher://127.0.0.1/',
    '/nothing': 'http://[',
    '/loop': '/loop',
    '/good': './end?x=1',
  }
  const server = await serve(t, redirecting(locations))
  const gate = createFetchGate()
  const cases: [string, RegExp][] = [
    ['/metadata', /nothing is fetched from 169\.254\.169\.254: it is a link-local/],
    ['/mapped', /link-local/],
    ['/file', /redirects to a file URL/],
    ['/gopher', /redirects to a gopher URL/],
    ['/nothing', /redirects to something that is not a URL/],
    ['/loop', /more than 5 times/],
  ]
  for (const [path, why] of cases) await assert.rejects(gate(server.url + path, open, signal), why, path)
  assert.equal(server.seen.filter((s) => s.path === '/loop').length, 6)
  assert.deepEqual(await buffer((await gate(`${server.url}/good`, open, signal)).stream), hello)
  assert.equal(server.seen.at(-1)?.path, '/end?x=1')
})

test('credentials are not carried to another host', async (t) => {
  const other = await serve(t, sending(hello), '127.0.0.3')
  const first = await serve(
    t,
    redirecting({ '/away': `http://x:y@127.0.0.3:${other.port}/`, '/home': '/here' }),
  )
  const gate = createFetchGate()
  const base = `http://me:secret@127.0.0.1:${first.port}`
  for (const path of ['/away', '/home']) await buffer((await gate(base + path, open, signal)).stream)
  assert.equal(other.seen[0]?.authorization, undefined)
  assert.notEqual(first.seen.at(-1)?.authorization, undefined)
})

test('schemes, statuses, encodings and sizes that are not taken', async (t) => {
  const server = await serve(t, (request, response) => {
    if (request.url === '/404') response.writeHead(404).end('gone')
    else if (request.url === '/gzip') response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')
    else response.writeHead(200, { 'content-length': 1001 }).end(Buffer.alloc(1001))
  })
  const gate = createFetchGate()
  const cases: [string, RegExp][] = [
    [`${server.url}/404`, /was answered with 404 Not Found/],
    [`${server.url}/gzip`, /gzip-encoded/],
    [`${server.url}/large`, /1001 bytes, more than the 1000 allowed/],
    ['ftp://127.0.0.1/x', /its scheme is ftp/],
    ['data:text/plain,x', /its scheme is data/],
    ['nonsense', /not a valid URL/],
  ]
  for (const [url, why] of cases) await assert.rejects(gate(url, open, signal), why, url)
})

test('silence and slowness end a fetch', async (t) => {
  let trickle: NodeJS.Timeout | undefined
  t.after(() => clearInterval(trickle))
  const server = await serve(t, (request, response) => {
    if (request.url === '/mute') return
    response.writeHead(200, { 'content-length': 1000 })
    response.write('x')
    if (request.url === '/trickle') trickle = setInterval(() => response.write('x'), 20)
  })
  const impatient = createFetchGate({ limits: { ...defaultGateLimits, idleTimeoutMs: 150 } })
  const hurried = createFetchGate({ limits: { ...defaultGateLimits, totalTimeoutMs: 300 } })
  const mute = impatient(`${server.url}/mute`, open, signal)
  await assert.rejects(mute, { code: 'SYS.1001', message: /silent for 150 ms/ })
  const cases: [FetchGate, string, RegExp][] = [
    [impatient, '/stall', /silent for 150 ms/],
    [hurried, '/trickle', /not fetched within the time allowed/],
  ]
  for (const [gate, path, why] of cases) {
    const source = await gate(server.url + path, open, signal)
    const failure = await buffer(source.stream).then(
      () => assert.fail('it did not fail'),
      (error: unknown) => source.explain(error),
    )
    assert.equal(failure.code, 'SYS.1001')
    assert.match(failure.message, why)
  }
})

test('errors name neither credentials nor signatures', async () => {
  const gate = createFetchGate({ resolve: async () => ['127.0.0.1'] })
  const urls = [
    'http://u:hunter2@127.0.0.1:1/x?sig=hunter2',
    'ftp://u:hunter2@h/',
    'http://u:hunter2@[/',
    'http://h%zz:hunter2@h:1/',
  ]
  for (const url of urls) {
    await gate(url, open, signal).then(
      () => assert.fail('it did not fail'),
      (error: Error) => {
        assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /hunter2/)
      },
    )
  }
})
