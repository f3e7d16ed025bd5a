import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClusterBus, createMemoryHub } from '#bus'
import { defineMessage } from '#contract'
import { CloudError, KeyedQueues, sysErrors } from '#kernel'
import { busMetrics } from './bus-metrics.ts'
import { Exposition } from './exposition.ts'

const look = defineMessage<{ n: number }, number>('look', undefined, { timeoutMs: 20_000 })

test('what becomes of calls between nodes is told by message', async (t) => {
  let now = 0
  let wake = () => {}
  const clock = {
    nowMs: () => now,
    wakeAfter: (_: number, then: () => void) => {
      wake = then
      return () => {}
    },
  }
  const hub = createMemoryHub()
  const transport = { isConnected: true, isBlocked: true, reconnects: 3 }
  const make = async (self: string) => {
    const routes = { self, ownerOf: () => self, admit: () => undefined, runOf: () => 1 }
    const wire = { ...hub.transport(self), figures: () => transport }
    const bus = createClusterBus(new KeyedQueues(), routes, wire, clock)
    await bus.open(() => {})
    bus.begin(1)
    t.after(() => bus.dispose())
    return bus
  }
  const [a, b] = [await make('a'), await make('b')]
  const gate = Promise.withResolvers<number>()
  b.serve(look, ({ n }) => {
    if (n < 0) throw new CloudError(sysErrors.operationFailed, 'no')
    return n === 0 ? gate.promise : Promise.resolve(n)
  })
  await a.callNode('b', look, { n: 1 })
  await assert.rejects(a.callNode('b', look, { n: -1 }))
  const late = a.callNode('b', look, { n: 0 })
  const failed = assert.rejects(late, { code: 'SYS.1001' })
  now = 15_000
  wake()
  assert.equal(valuesOf(a).get('zstack_node_calls_unanswered'), 1)
  assert.equal(valuesOf(a).get('zstack_node_calls_oldest_seconds'), 15)
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(valuesOf(b).get('zstack_node_calls_received{state="begun"}'), 1)
  now = 19_000
  wake()
  await failed
  const values = valuesOf(a)
  const told = (name: string) => values.get(`zstack_node_calls_${name}`)
  assert.equal(told('total{message="look"}'), 3)
  for (const outcome of ['answered', 'failed', 'timedOut'])
    assert.equal(told(`ended_total{message="look",outcome="${outcome}"}`), 1, outcome)
  assert.equal(told('asked_again_total{message="look"}'), 1)
  assert.equal(told('unanswered'), 0)
  assert.equal(values.get('zstack_node_call_seconds_count{message="look"}'), 2)
  const broker = ['connected', 'blocked', 'reconnects_total'].map((name) =>
    values.get(`zstack_broker_${name}`),
  )
  assert.deepEqual(broker, [1, 1, 3])
  gate.resolve(0)
})

function valuesOf(bus: Parameters<typeof busMetrics>[0]['bus']): Map<string, number> {
  const out = new Exposition()
  void busMetrics({ bus }).tell(out)
  const lines = out
    .text()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
}
