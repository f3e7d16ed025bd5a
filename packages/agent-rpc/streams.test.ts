import assert from 'node:assert/strict'
import { createServer, connect as netConnect } from 'node:net'
import { Duplex } from 'node:stream'
import { text as readAll } from 'node:stream/consumers'
import { test } from 'node:test'
import { CloudError, newUuid, sysErrors, waitFor } from '#kernel'
import type { AgentEvent } from './call.ts'
import { EventLog } from './event-log.ts'
import { startTestAgent } from './test-agent.ts'

const event = (n: number): AgentEvent => ({ name: 'test.tick', atMs: n, data: { n } })
const numbers = (events: AgentEvent[]) => events.map((e) => e.data.n ?? e.name)

test('events flow from the moment of connecting on; a restart of the agent is told as lost events', async (t) => {
  const agent = await startTestAgent(t)
  const heard: AgentEvent[] = []
  const words: string[] = []
  agent.server.emit(event(0))
  const follower = agent.client().events(
    (e) => heard.push(e),
    () => words.push('up'),
    () => words.push('down'),
  )
  await waitFor('up', () => words.length === 1)
  agent.server.emit(event(1))
  agent.server.emit(event(2))
  await waitFor('two events', () => heard.length === 2)
  await agent.server.close()
  await waitFor('down', () => words.length === 2)
  const { authority, uuid } = agent
  const again = await startTestAgent(t, { authority, uuid, listenPort: agent.port })
  again.server.emit(event(3))
  await waitFor('the event of the new agent', () => heard.length === 4)
  assert.deepEqual(numbers(heard), [1, 2, 'agent.events-lost', 3])
  assert.deepEqual(words, ['up', 'down', 'up'])
  await follower.dispose()
})

test('an interrupted stream resumes where it stopped, without loss and without repeats', async (t) => {
  const agent = await startTestAgent(t)
  // A relay between them that the test can cut.
  const links = new Set<{ destroy(): void }>()
  const relay = createServer((inner) => {
    const outer = netConnect(agent.port, '127.0.0.1')
    for (const side of [inner, outer]) {
      links.add(side)
      side.on('error', () => undefined)
    }
    inner.pipe(outer).pipe(inner)
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  t.after(() => relay.close())
  const heard: AgentEvent[] = []
  let ups = 0
  const client = agent.client({ port: (relay.address() as { port: number }).port })
  const follower = client.events(
    (e) => heard.push(e),
    () => {
      ups += 1
    },
  )
  await waitFor('up', () => ups === 1)
  agent.server.emit(event(1))
  await waitFor('the first', () => heard.length === 1)
  for (const link of links) link.destroy()
  agent.server.emit(event(2))
  agent.server.emit(event(3))
  await waitFor('the rest', () => heard.length === 3)
  assert.deepEqual(numbers(heard), [1, 2, 3])
  assert.equal(ups, 2)
  await follower.dispose()
})

test('events that fell out of the buffer are told as a gap, then the rest follows', () => {
  const log = new EventLog(2)
  const first = collect()
  log.follow(first, undefined)
  const { stream } = JSON.parse(first.lines()[0] ?? '') as { stream: string }
  for (const n of [1, 2, 3, 4]) log.emit(event(n))
  const late = collect()
  log.follow(late, { stream, seq: 1 })
  const events = late
    .lines()
    .slice(1)
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    events.map((e) => [e.seq, e.event.data]),
    [
      [2, { missed: 1 }],
      [3, { n: 3 }],
      [4, { n: 4 }],
    ],
  )
  const inTime = collect()
  log.follow(inTime, { stream, seq: 2 })
  assert.deepEqual(
    inTime
      .lines()
      .slice(1)
      .map((line) => JSON.parse(line).seq),
    [3, 4],
  )
  log.close()
})

test('a stream that falls silent counts as down', async (t) => {
  const agent = await startTestAgent(t)
  const downs: unknown[] = []
  const client = agent.client({ eventSilenceMs: 100 })
  const follower = client.events(
    () => undefined,
    undefined,
    (error) => downs.push(error),
  )
  await waitFor('down', () => downs.length > 0)
  assert.match(String(downs[0]), /nothing was heard for 100 ms/)
  await follower.dispose()
})

test('a tunnel joins both ends, ends with either, and is refused to those not allowed', async (t) => {
  const paths: string[] = []
  const agent = await startTestAgent(t, {
    upgradeRoutes: [
      {
        prefix: '/tunnel/',
        allow: ['agent'],
        open: async ({ path, peer }) => {
          paths.push(`${peer.kind} ${path}`)
          if (path === 'none') throw new CloudError(sysErrors.resourceNotFound, 'no such tunnel')
          return upperCase()
        },
      },
      { prefix: '/console/', allow: [], open: async () => upperCase() },
    ],
  })
  const tls = await agent.authority.issueAgent({ uuid: newUuid(), role: 'r', addresses: ['127.0.0.1'] })
  const peer = agent.client({ tls })
  const tunnel = await peer.openTunnel('/tunnel/a b%/c')
  tunnel.end('hello')
  assert.equal(await readAll(tunnel), 'HELLO')
  assert.deepEqual(paths, ['agent a b%/c'])
  await assert.rejects(peer.openTunnel('/tunnel/none'), { code: 'SYS.1003', details: 'no such tunnel' })
  await assert.rejects(peer.openTunnel('/console/x'), { code: 'SYS.1006', details: /may not use/ })
  await assert.rejects(peer.openTunnel('/nowhere'), { code: 'SYS.1003' })
  ;(await agent.client().openTunnel('/console/x')).destroy()
})

test('a peer route streams; a stream cut short fails at the reader; a refusal comes back as it was said', async (t) => {
  const agent = await startTestAgent(t, {
    peerRoutes: [
      {
        prefix: '/images/',
        allow: ['agent'],
        serve: ({ path }, response) => {
          if (path === 'gone') throw new CloudError(sysErrors.resourceNotFound, 'no such image')
          response.setHeader('content-length', 5)
          response.write('abc')
          if (path === '/whole') response.end('de')
          else setImmediate(() => response.destroy())
        },
      },
    ],
  })
  const client = agent.client()
  const whole = await client.get('/images//whole')
  assert.deepEqual([whole.size, await readAll(whole.stream)], [5, 'abcde'])
  const cut = await client.get('/images/cut')
  await assert.rejects(readAll(cut.stream), { code: 'ECONNRESET' })
  await assert.rejects(client.get('/images/gone'), { code: 'SYS.1003', details: 'no such image' })
})

function upperCase(): Duplex {
  const stream = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      stream.push(String(chunk).toUpperCase())
      done()
    },
    final(done) {
      stream.push(null)
      done()
    },
  })
  return stream
}

function collect(): Duplex & { lines(): string[] } {
  let all = ''
  const stream = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      all += chunk
      done()
    },
  })
  return Object.assign(stream, { lines: () => all.split('\n').filter((line) => line !== '') })
}
