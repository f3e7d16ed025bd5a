import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { defineMessage } from '#contract'
import { KeyedQueues, newUuid, silentLogger } from '#kernel'
import { type Rabbitmq, startRabbitmq } from '#testkit'
import { type ClusterBus, createClusterBus } from '../bus.ts'
import { createRabbitTransport, queueOfNode } from '../rabbit-transport.ts'

const echo = defineMessage<{ n: number }, number>('echo')

describe('RabbitMQ', () => {
  let brokers: Rabbitmq
  before(async () => {
    brokers = await startRabbitmq({ nodes: 3 })
  })
  after(() => brokers.dispose())

  const transportOf = (node: string) => {
    const { user, password } = brokers
    const addresses = brokers.endpoints.map(({ host, port }) => `${host}:${port}`)
    return createRabbitTransport(node, { brokers: addresses, user, password, virtualHost: '/' }, silentLogger)
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
    await brokers.kill(0)
    const answers = await Promise.all(calls)
    t.diagnostic(`all answered ${Math.round(performance.now() - begunAt)} ms after the broker was killed`)
    assert.deepEqual(answers, [...answers.keys()])
    assert.equal(new Set(b.done).size, b.done.length, 'a call was done twice')
    await brokers.start(0)
  })

  test('a node that is gone for good leaves no queue', async (t) => {
    const transport = transportOf(newUuid())
    await transport.open(async () => {})
    t.after(() => transport.dispose())
    const gone = await open()
    await gone.bus.dispose()
    await transport.forget(gone.name)
    assert.match(queueOfNode(gone.name), /^zstack\.node\./)
  })
})
