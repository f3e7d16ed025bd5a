import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { type Duplex, duplexPair } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { createWebSocketStream, type WebSocket } from 'ws'
import { waitFor } from '#kernel'
import { requestConsoleAccess } from '../contract/apis.ts'
import { type ConsoleCloud, startConsoleCloud } from './console-cloud.ts'
import { serveRfb } from './rfb-server.ts'

async function start(t: TestContext, options: { hasScreen?: boolean } = {}): Promise<ConsoleCloud> {
  const cloud = await startConsoleCloud(options)
  t.after(() => cloud.dispose())
  return cloud
}

async function open(cloud: ConsoleCloud): Promise<{ socket: WebSocket; screen: Duplex }> {
  const before = cloud.screens.length
  const socket = cloud.connect(await cloud.token())
  await once(socket, 'open')
  const screen = await waitFor('the tunnel', () => cloud.screens[before])
  return { socket, screen }
}

/** The HTTP status a connection is refused with, and the body that comes along. */
async function refusal(socket: WebSocket): Promise<{ status: number | undefined; body: string }> {
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  let body = ''
  for await (const chunk of response) body += chunk
  return { status: response.statusCode, body }
}

const forbidden = { status: 403, body: '' }

async function closing(socket: WebSocket): Promise<{ code: number; reason: string }> {
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
  return { code, reason: reason.toString() }
}

test('a token opens the screen of its VM through the tunnel of the host agent', async (t) => {
  const cloud = await start(t)
  const params = { vmInstanceUuid: cloud.vmUuid }
  const { inventory } = (await cloud.cloud.dispatcher.call({
    ...{ api: requestConsoleAccess, params, sessionUuid: 'session' },
  })) as { inventory: Record<string, unknown> }
  const { token, expiredDate, ...rest } = inventory
  const expected = {
    scheme: 'http',
    targetScheme: 'vnc',
    hostname: '192.0.2.1',
    port: 5000,
    version: '1.2.3',
  }
  assert.deepEqual(rest, expected)
  assert.ok(Math.abs(Number(expiredDate) - Date.now() - 60_000) < 5_000)

  const socket = cloud.connect(String(token))
  await once(socket, 'open')
  const screen = await waitFor('the tunnel', () => cloud.screens[0])
  assert.equal(socket.protocol, 'binary')
  assert.deepEqual(cloud.agentCalls, ['vm.console', `/console/${cloud.vmUuid}`])
  const rfb = serveRfb(screen)
  const stream = createWebSocketStream(socket)
  const received = stream.iterator()
  const next = async () => ((await received.next()).value as Buffer).toString('latin1')
  assert.equal(await next(), 'RFB 003.008\n')
  stream.write('RFB 003.008\n')
  assert.equal(await next(), '\x01\x01')
  stream.write(Buffer.from([1]))
  assert.equal(await next(), '\0\0\0\0')
  stream.write(Buffer.from([1]))
  assert.match(await next(), /test$/)
  stream.write(Buffer.from([4, 1, 0, 0, 0, 0, 0xff, 0xe3]))
  await waitFor('the key', () => rfb.pressedKeys[0] === 0xffe3)
  socket.close()
  await waitFor('the end of the screen', () => screen.destroyed)
  assert.ok(!cloud.logLines.join('\n').includes(String(token)), 'a token is never logged')
})

test('wrong, used and expired tokens and those of an ended session get a bare 403', async (t) => {
  const cloud = await start(t)
  for (const wrong of ['', 'f'.repeat(64), '%00'])
    assert.deepEqual(await refusal(cloud.connect(wrong)), forbidden)

  const used = await cloud.token()
  const socket = cloud.connect(used)
  await once(socket, 'open')
  assert.deepEqual(await refusal(cloud.connect(used)), forbidden)
  socket.close()

  await cloud.cloud.context.config.set('console', 'vnc.token.timeout', 0)
  assert.deepEqual(await refusal(cloud.connect(await cloud.token())), forbidden)
  await cloud.cloud.context.config.set('console', 'vnc.token.timeout', 60)

  const orphan = await cloud.token()
  cloud.endSession('session')
  assert.deepEqual(await refusal(cloud.connect(orphan)), forbidden)
})

test('two connections racing for one token: one gets it', async (t) => {
  const cloud = await start(t)
  const token = await cloud.token()
  const outcomes = await Promise.all(
    Array.from({ length: 5 }, () => {
      const socket = cloud.connect(token)
      return Promise.race([once(socket, 'open').then(() => 'open'), refusal(socket).then(() => 'refused')])
    }),
  )
  assert.deepEqual(outcomes.sort(), ['open', 'refused', 'refused', 'refused', 'refused'])
})

test('a page of another site is refused, and its token is gone', async (t) => {
  const cloud = await start(t)
  for (const origin of ['http://evil.example', 'null', `https://127.0.0.1:${cloud.port + 1}`]) {
    const token = await cloud.token()
    assert.deepEqual(await refusal(cloud.connect(token, { origin })), forbidden)
    assert.deepEqual(await refusal(cloud.connect(token)), forbidden)
  }
  const socket = cloud.connect(await cloud.token(), { origin: `http://127.0.0.1:${cloud.port}` })
  await once(socket, 'open')
  socket.close()
})

test('when the screen ends the browser is told, when the browser goes the tunnel is closed', async (t) => {
  const cloud = await start(t)
  const ended = await open(cloud)
  ended.screen.end()
  assert.deepEqual(await closing(ended.socket), {
    ...{ code: 1000, reason: 'the screen of the VM was closed on its host' },
  })
  const lost = await open(cloud)
  lost.screen.destroy()
  assert.equal((await closing(lost.socket)).code < 1012, true)
  const cut = await open(cloud)
  cut.socket.terminate()
  await once(cut.screen.resume(), 'end')
})

test('an idle console is closed, a used one is not', async (t) => {
  const cloud = await start(t)
  await cloud.cloud.context.config.set('console', 'proxy.idleTimeout', 1)
  const used = await open(cloud)
  const until = performance.now() + 1_500
  const use = () => used.screen.write('x') && performance.now() > until
  await waitFor('more than a second of use', use, { intervalMs: 100 })
  assert.equal(used.socket.readyState, used.socket.OPEN)
  used.socket.close()
  const idle = await open(cloud)
  assert.deepEqual(await closing(idle.socket), { code: 1001, reason: 'closed: nothing happened for 1 s' })
})

test('a text message ends the console', async (t) => {
  const cloud = await start(t)
  const { socket } = await open(cloud)
  socket.send('hello')
  assert.equal((await closing(socket)).code, 1003)
})

test('only a running VM has a console; a VM that stopped since is told to the browser', async (t) => {
  const cloud = await start(t)
  const token = await cloud.token()
  await cloud.setVmState('Stopped')
  await assert.rejects(cloud.token(), { code: 'SYS.1006', details: /vm1 .* is Stopped; only a Running VM/ })
  const { code, reason } = await closing(cloud.connect(token))
  assert.equal(code, 1011)
  assert.match(reason, /is Stopped/)
})

test('a simulated VM says that it has no screen', async (t) => {
  const cloud = await start(t, { hasScreen: false })
  assert.deepEqual(await closing(cloud.connect(await cloud.token())), {
    ...{ code: 1011, reason: 'VM vm1 is simulated: it has no screen' },
  })
})

test('a stopping management node closes its consoles', async (t) => {
  const cloud = await start(t)
  const { screen } = await open(cloud)
  const ended = once(screen.resume(), 'end')
  await cloud.stop()
  await ended
})

test('a screen that opens when its browser was cut off already is closed at once', async (t) => {
  const opened = Promise.withResolvers<Duplex>()
  const cloud = await startConsoleCloud({ openScreen: () => opened.promise })
  t.after(() => cloud.dispose())
  const socket = cloud.connect(await cloud.token())
  await waitFor('the question for the screen', () => cloud.agentCalls.length === 2)
  const cut = once(socket, 'close')
  await cloud.stop()
  await cut
  const [near, far] = duplexPair()
  opened.resolve(near)
  await once(far.resume(), 'end')
})

const FLOOD_BYTES = 64 * 1024 * 1024
const CHUNK = Buffer.alloc(64 * 1024, 7)

/** Writes until everything is taken; `written` tells how far it is. */
function flood(stream: Duplex): { written: () => number } {
  let written = 0
  const more = () => {
    while (written < FLOOD_BYTES) {
      written += CHUNK.length
      if (!stream.write(CHUNK)) return void stream.once('drain', more)
    }
  }
  more()
  return { written: () => written }
}

async function stalled(progress: () => number): Promise<number> {
  let last = -1
  let same = 0
  await waitFor('a stall', () => {
    same = progress() === last ? same + 1 : 0
    last = progress()
    return same > 15
  })
  return last
}

test('a slow browser stops the host, and gets every byte in the end', async (t) => {
  const cloud = await start(t)
  const { socket, screen } = await open(cloud)
  let received = 0
  socket.on('message', (data: Buffer) => {
    received += data.length
  })
  socket.pause()
  const { written } = flood(screen)
  assert.ok((await stalled(written)) < FLOOD_BYTES / 2, `taken before the browser read: ${written()}`)
  socket.resume()
  await waitFor('the rest', () => received === FLOOD_BYTES, { timeoutMs: 20_000 })
})

test('a slow host stops the browser, and gets every byte in the end', async (t) => {
  const cloud = await start(t)
  const { socket, screen } = await open(cloud)
  const { written } = flood(createWebSocketStream(socket))
  assert.ok((await stalled(written)) < FLOOD_BYTES / 2, `taken before the host read: ${written()}`)
  let received = 0
  screen.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  await waitFor('the rest', () => received === FLOOD_BYTES, { timeoutMs: 20_000 })
})
