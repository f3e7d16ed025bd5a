import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { Connection } from 'rabbitmq-client'
import { defineMessage } from '#contract'
import { KeyedQueues, newUuid, silentLogger, waitFor } from '#kernel'
import { cuttingProxy, type Rabbitmq, startRabbitmq } from '#testkit'
import { type ClusterBus, createClusterBus } from '../bus.ts'
import { createRabbitTransport, queueOfNode, type RabbitOptions } from '../rabbit-transport.ts'

const echo = defineMessage<{ n: number }, number>('echo')

describe('RabbitMQ', () => {
  let brokers: Rabbitmq
  before(async () => {
    brokers = await startRabbitmq({ nodes: 3 })
  })
  after(() => brokers.dispose())

  const addresses = () => brokers.endpoints.map(({ host, port }) => `${host}:${port}`)
  const transportOf = (node: string, options: Partial<RabbitOptions> = {}) => {
    const { user, password } = brokers
    const common = { brokers: addresses(), user, password, virtualHost: '/' }
    return createRabbitTransport(node, { ...common, ...options }, silentLogger)
  }
  /** Runs of the nodes, as all of them know. */
  const runs = new Map<string, number>()
  const open = async (run = 1, name = newUuid(), done: number[] = []) => {
    const news: unknown[] = []
    const routes = {
      self: name,
      ownerOf: () => name,
      admit: () => undefined,
      runOf: (node: string) => runs.get(node),
    }
    const bus: ClusterBus = createClusterBus(new KeyedQueues(), routes, transportOf(name))
    bus.serve(echo, async ({ n }) => {
      done.push(n)
      return n
    })
    await bus.open((_name, data) => news.push(data))
    bus.begin(run)
    runs.set(name, run)
    return { name, bus, done, news }
  }

  test('calls go to and fro at thousands a second, and news reach the others', async (t) => {
    const [a, b] = [await open(), await open()]
    t.after(() => Promise.all([a.bus.dispose(), b.bus.dispose()]))
    const numbers = Array.from({ length: 2_000 }, (_, n) => n)
    const begunAt = performance.now()
    for (let at = 0; at < numbers.length; at += 100)
      await Promise.all(numbers.slice(at, at + 100).map((n) => a.bus.callNode(b.name, echo, { n })))
    const perSecond = (numbers.length / (performance.now() - begunAt)) * 1_000
    t.diagnostic(`${Math.round(perSecond)} calls a second, 100 at a time`)
    assert.deepEqual(b.done, numbers)
    await a.bus.tell('changed', { epoch: 7 })
    await a.bus.callNode(b.name, echo, { n: 1 })
    assert.deepEqual([a.news, b.news], [[], [{ epoch: 7 }]])
  })

  test('what was meant for an earlier run of a node is dropped when it starts again', async (t) => {
    const a = await open()
    t.after(() => a.bus.dispose())
    const b = await open()
    await b.bus.dispose()
    const late = a.bus.callNode(b.name, echo, { n: 1 })
    const again = await open(2, b.name)
    t.after(() => again.bus.dispose())
    assert.equal(await a.bus.callNode(b.name, echo, { n: 2 }), 2)
    a.bus.nodeGone(b.name, 1)
    await assert.rejects(late, { code: 'CLUSTER.1003' })
    assert.deepEqual(again.done, [2])
  })

  test('the broker in use dies under load: no call is lost and none is done twice', async (t) => {
    const [a, b] = [await open(), await open()]
    t.after(() => Promise.all([a.bus.dispose(), b.bus.dispose()]))
    await a.bus.callNode(b.name, echo, { n: -1 })
    const begunAt = performance.now()
    const calls = Array.from({ length: 3_000 }, (_, n) => a.bus.callNode(b.name, echo, { n }))
    assert.deepEqual(a.bus.figures()?.transport, { isConnected: true, isBlocked: false, reconnects: 0 })
    await brokers.kill(0)
    const answers = await Promise.all(calls)
    t.diagnostic(`all answered ${Math.round(performance.now() - begunAt)} ms after the broker was killed`)
    assert.deepEqual(answers, [...answers.keys()])
    assert.equal(new Set(b.done).size, b.done.length, 'a call was done twice')
    const figures = a.bus.figures()
    assert.deepEqual([figures?.unanswered, figures?.byMessage.get('echo')?.answered], [0, 3_001])
    assert.ok(figures?.transport?.isConnected && figures.transport.reconnects >= 1)
    await brokers.start(0)
  })

  /** What an operator's tools see: the queue of a node that does not consume, and a connection to it. */
  const openQueue = async (t: TestContext) => {
    const node = newUuid()
    const transport = transportOf(node)
    await transport.open(async () => {})
    await transport.dispose()
    const [{ host, port } = { host: '', port: 0 }] = brokers.endpoints
    const { user: username, password } = brokers
    const rabbit = new Connection({ hostname: host, port, username, password })
    t.after(() => rabbit.close())
    const queue = queueOfNode(node)
    const depth = async () => (await rabbit.queueDeclare({ queue, passive: true })).messageCount
    const take = () => waitFor('a message to be stored', () => rabbit.basicGet({ queue, noAck: true }))
    return { node, depth, take }
  }
  /** The broker adds some of its own. */
  const ours = (headers: Record<string, unknown> = {}) =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('zstack-')))
  const trace = { 'zstack-from': 'a', 'zstack-task': 'task-1' }
  const call = {
    kind: 'call',
    id: 'a.1.7',
    from: 'a',
    toRun: 1,
    message: 'vm.attach',
    input: {},
    passes: 0,
  } as const

  test('task and message can be read from a stored message without opening it', async (t) => {
    const { node, take } = await openQueue(t)
    const transport = transportOf(newUuid())
    t.after(() => transport.dispose())
    await transport.send(node, { ...call, taskId: 'task-1', leftMs: 60_000 })
    const { type, correlationId, expiration, headers } = await take()
    assert.deepEqual([type, correlationId, ours(headers)], ['call vm.attach', 'a.1.7', trace])
    assert.ok(Number(expiration) > 50_000 && Number(expiration) <= 60_000, `it expires in ${expiration} ms`)
    await transport.send(node, {
      kind: 'reply',
      id: 'a.1.7',
      from: 'a',
      message: 'vm.attach',
      taskId: 'task-1',
    })
    const reply = await take()
    const read = [reply.type, reply.correlationId, ours(reply.headers), reply.expiration]
    assert.deepEqual(read, ['reply vm.attach', 'a.1.7', trace, undefined])
  })

  test('the broker drops a call that nobody waits for any more', async (t) => {
    const { node, depth } = await openQueue(t)
    const transport = transportOf(newUuid())
    t.after(() => transport.dispose())
    await transport.send(node, { ...call, leftMs: 60_000 })
    await waitFor('the call to be stored', async () => (await depth()) === 1)
    const other = await openQueue(t)
    await transport.send(other.node, { ...call, leftMs: 100 })
    await waitFor('the call to be dropped', async () => (await other.depth()) === 0)
    assert.equal(await depth(), 1)
  })

  test('a broker that goes away while a node makes its queue does not keep the node from starting', async (t) => {
    const [broker = { host: '', port: 0 }] = brokers.endpoints
    const queueBind = '\x00\x32\x00\x14'
    let asked = 0
    const cutOnce = (sent: string) => (sent.includes(queueBind) && asked++ === 0 ? 'before' : undefined)
    const { host, port } = await cuttingProxy(t, broker, cutOnce)
    const transport = transportOf(newUuid(), { brokers: [`${host}:${port}`] })
    t.after(() => transport.dispose())
    await transport.open(async () => {})
    assert.ok(asked > 1)
  })

  test('what is sent to a node whose broker stands still arrives when it goes on', async (t) => {
    const heard: string[] = []
    const a = transportOf('still')
    await a.open(async (envelope) => void heard.push(envelope.kind === 'news' ? envelope.name : ''))
    t.after(() => a.dispose())
    const b = transportOf('other', { brokers: addresses().slice(1) })
    t.after(() => b.dispose())
    brokers.freeze(0)
    try {
      await b.send('still', { kind: 'news', from: 'other', name: 'sent meanwhile', data: 0 })
    } finally {
      brokers.thaw(0)
    }
    await waitFor('the news to be heard', () => heard.includes('sent meanwhile'), { timeoutMs: 20_000 })
  })

  test('a node that is gone for good leaves no queue', async (t) => {
    const gone = transportOf('gone', { keepMs: 500 })
    await gone.open(async () => {}).finally(() => gone.dispose())
    const { user: username, password } = brokers
    const connection = new Connection({ hosts: addresses(), username, password })
    // A question about a queue that is not there ends the channel it is asked on.
    connection.on('error', () => undefined)
    t.after(() => connection.close())
    const isGone = () =>
      connection.queueDeclare({ queue: queueOfNode('gone'), passive: true }).then(
        () => false,
        ({ code }: { code?: string }) => code === 'NOT_FOUND',
      )
    await waitFor('the brokers to remove the queue', isGone, { timeoutMs: 20_000, intervalMs: 200 })
  })
})
