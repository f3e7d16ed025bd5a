import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { defineMessage } from '#contract'
import { CloudError, clusterErrors, KeyedQueues, sysErrors, withoutDeadline } from '#kernel'
import { type ClusterBus, createClusterBus } from './bus.ts'
import { createMemoryHub, type MemoryHub } from './memory-transport.ts'
import type { CallEnvelope, Envelope } from './transport.ts'
import { createVirtualClock, type VirtualClock } from './virtual-clock.testing.ts'

const work = defineMessage<{ n: number }, number>('work', () => 'thing:x', { timeoutMs: 10_000 })
const outer = defineMessage<object, number>('outer', undefined, { timeoutMs: 10_000 })
const patient = defineMessage<object, number>('patient')

/** What the wire carries is delivered within a few turns of the event loop. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

interface Outcome {
  error: unknown
  output: unknown
}

interface Scene {
  readonly clock: VirtualClock
  readonly hub: MemoryHub
  readonly buses: Readonly<Record<string, ClusterBus>>
  /** What was carried, oldest first. */
  readonly carried: Envelope[]
  readonly begin: (name: string) => void
}

/** Nodes on one virtual clock; `owner` tells who each thinks owns a key. `late` are begun by the test. */
async function scene(
  t: TestContext,
  names: readonly string[],
  owner: (asked: string) => string,
  late: readonly string[] = [],
): Promise<Scene> {
  const clock = createVirtualClock()
  const hub = createMemoryHub()
  const carried: Envelope[] = []
  hub.bend((_, envelope) => {
    carried.push(envelope)
    return { copies: 1, turns: 1 }
  })
  const buses: Record<string, ClusterBus> = {}
  for (const self of names) {
    const routes = { self, ownerOf: () => owner(self), admit: () => undefined, runOf: () => 1 }
    const bus = createClusterBus(new KeyedQueues(), routes, hub.transport(self), clock)
    await bus.open(() => {})
    if (!late.includes(self)) bus.begin(1)
    t.after(() => bus.dispose())
    buses[self] = bus
  }
  return { clock, hub, buses, carried, begin: (name) => buses[name]?.begin(1) }
}

async function two(t: TestContext, late: readonly string[] = []) {
  const { buses, ...rest } = await scene(t, ['a', 'b'], () => 'b', late)
  const { a, b } = buses
  assert.ok(a !== undefined && b !== undefined)
  return { a, b, ...rest }
}

/** Its outcome, once it has one: a rejection must not be unhandled meanwhile. */
function watch(call: Promise<unknown>): Outcome {
  const seen: Outcome = { error: undefined, output: undefined }
  call.then(
    (output) => Object.assign(seen, { output }),
    (error) => Object.assign(seen, { error }),
  )
  return seen
}

function isTimeout(seen: Outcome | undefined, begun: string, words: RegExp): void {
  const error = seen?.error
  assert.ok(error instanceof CloudError, `it has not failed: ${String(error)}`)
  assert.equal(error.code, sysErrors.timeout.code, error.message)
  assert.match(error.details, words)
  assert.equal(error.opaque?.begun, begun)
}

test('a call that was begun and not answered in time ends, and says that it goes on', async (t) => {
  const { a, b, clock } = await two(t)
  const gate = Promise.withResolvers<number>()
  b.serve(work, () => gate.promise)
  a.serve(work, async () => 0)
  const seen = watch(a.call(work, { n: 1 }))
  await settle()
  clock.pass(8_999)
  await settle()
  assert.equal(seen.error, undefined, 'it ended before its time')
  clock.pass(1)
  await settle()
  isTimeout(seen, 'yes', /node b has not answered work within 9 s: it had begun it and goes on/)
  const opaque = { node: 'b', message: 'work', afterMs: 9_000, begun: 'yes' }
  const { error } = seen as { error: unknown }
  assert.deepEqual(error instanceof CloudError && error.opaque, opaque)
  const traffic = a.figures()?.byMessage.get('work')
  assert.deepEqual([traffic?.calls, traffic?.timedOut, a.figures()?.unanswered], [1, 1, 0])
  gate.resolve(1)
})

test('a call whose time is up while it waits in a queue is never begun, and leaves the queue', async (t) => {
  const { a, b, clock } = await two(t)
  const gate = Promise.withResolvers<number>()
  const begun: number[] = []
  b.serve(work, ({ n }) => {
    begun.push(n)
    return gate.promise
  })
  a.serve(work, async () => 0)
  const first = watch(a.call(work, { n: 1 }))
  await settle()
  clock.pass(3_000)
  const second = watch(a.call(work, { n: 2 }))
  await settle()
  assert.deepEqual(b.figures()?.received, { begun: 1, waiting: 1 })
  clock.pass(6_000)
  await settle()
  isTimeout(first, 'yes', /had begun/)
  clock.pass(3_000)
  await settle()
  isTimeout(second, 'no', /node b has not answered work within 9 s: it had not begun it and will not/)
  gate.resolve(1)
  await settle()
  assert.deepEqual(begun, [1])
  assert.deepEqual(b.figures()?.received, { begun: 0, waiting: 0 })
})

test('a receiver refuses by itself what it would begin too late, also when the caller’s last words are lost', async (t) => {
  const { a, b, clock, hub } = await two(t)
  const gate = Promise.withResolvers<number>()
  const begun: number[] = []
  b.serve(work, ({ n }) => {
    begun.push(n)
    return gate.promise
  })
  a.serve(work, async () => 0)
  const calls = [1, 2].map((n) => watch(a.call(work, { n })))
  await settle()
  hub.bend((_, { kind }) => ({ copies: kind === 'over' ? 0 : 1, turns: 1 }))
  clock.pass(9_500)
  gate.resolve(1)
  await settle()
  assert.equal(calls[0]?.output, 1, 'an answer in the last moment is an answer')
  isTimeout(calls[1], 'no', /had not begun/)
  assert.deepEqual(begun, [1])
})

test('a call that comes before the receiver takes part ages while it waits there', async (t) => {
  const { a, b, clock, begin, hub } = await two(t, ['b'])
  const begun: number[] = []
  b.serve(work, async ({ n }) => begun.push(n))
  a.serve(work, async () => 0)
  const seen = watch(a.call(work, { n: 1 }))
  await settle()
  hub.bend((_, { kind }) => ({ copies: kind === 'over' ? 0 : 1, turns: 1 }))
  clock.pass(9_500)
  begin('b')
  await settle()
  assert.deepEqual(begun, [])
  isTimeout(seen, 'no', /had not begun/)
})

test('when the other node says nothing the call ends on time all the same', async (t) => {
  const { a, b, clock, hub } = await two(t)
  b.serve(work, async () => 0)
  a.serve(work, async () => 0)
  hub.cut('b')
  const seen = watch(a.call(work, { n: 1 }))
  clock.pass(9_999)
  await settle()
  assert.equal(seen.error, undefined)
  clock.pass(1)
  await settle()
  isTimeout(seen, 'unknown', /within 10 s: it does not say whether it has begun it/)
})

test('what arrives after it was given up is not begun', async (t) => {
  const { a, b, clock, hub } = await two(t)
  const begun: number[] = []
  b.serve(work, async ({ n }) => begun.push(n))
  a.serve(work, async () => 0)
  hub.bend((_, { kind }) => ({ copies: 1, turns: kind === 'call' ? 40 : 1 }))
  const seen = watch(a.call(work, { n: 1 }))
  clock.pass(9_000)
  await settle()
  isTimeout(seen, 'no', /had not begun/)
  for (let turn = 0; turn < 5; turn += 1) await settle()
  assert.deepEqual(begun, [])
})

test('asking again tells the time that is left then', async (t) => {
  const { a, b, clock, carried } = await two(t)
  const gate = Promise.withResolvers<number>()
  b.serve(patient, () => gate.promise)
  const seen = watch(a.callNode('b', patient, {}))
  await settle()
  clock.pass(15_000)
  await settle()
  const calls = carried.filter((e): e is CallEnvelope => e.kind === 'call')
  assert.deepEqual(
    calls.map(({ leftMs }) => leftMs),
    [1_798_000, 1_783_000],
  )
  assert.equal(a.figures()?.byMessage.get('patient')?.askedAgain, 1)
  gate.resolve(7)
  await settle()
  assert.equal(seen.output, 7)
})

test('passing on subtracts what has gone by, and the third node’s words reach the caller', async (t) => {
  // Node a believes that b owns everything; b knows that it is c.
  const { buses, clock, carried } = await scene(t, ['a', 'b', 'c'], (asked) => (asked === 'a' ? 'b' : 'c'), [
    'b',
  ])
  const gate = Promise.withResolvers<number>()
  for (const bus of Object.values(buses)) bus.serve(work, () => gate.promise)
  const seen = watch(buses.a?.call(work, { n: 1 }) ?? Promise.reject(new Error('no node a')))
  await settle()
  clock.pass(5_000)
  buses.b?.begin(1)
  await settle()
  const lefts = carried.filter((e) => e.kind === 'call').map(({ leftMs }) => leftMs)
  assert.deepEqual(lefts, [9_000, 3_600])
  clock.pass(3_600)
  await settle()
  isTimeout(seen, 'yes', /node c has not answered work within 3\.6 s: it had begun/)
  gate.resolve(1)
})

test('a call made in a call has no more time than that one, a way back has its own', async (t) => {
  const { a, b, clock, carried } = await two(t)
  const never = new Promise<number>(() => {})
  a.serve(patient, () => never)
  const inner: Outcome[] = []
  b.serve(outer, async () => {
    inner.push(watch(b.callNode('a', patient, {})))
    inner.push(watch(withoutDeadline(() => b.callNode('a', patient, {}))))
    return never
  })
  const seen = watch(a.callNode('b', outer, {}))
  await settle()
  const lefts = carried.filter((e) => e.kind === 'call').map(({ leftMs }) => leftMs)
  assert.deepEqual(lefts, [9_000, 8_100, 1_798_000])
  clock.pass(8_100)
  await settle()
  isTimeout(inner[0], 'yes', /node a has not answered patient within 8\.1 s/)
  assert.equal(inner[1]?.error, undefined)
  clock.pass(900)
  await settle()
  isTimeout(seen, 'yes', /outer/)
})

test('in a call whose time is up nothing more is sent', async (t) => {
  const { a, b, clock, carried } = await two(t)
  const gate = Promise.withResolvers<void>()
  a.serve(patient, async () => 1)
  const inner: Outcome[] = []
  b.serve(outer, async () => {
    await gate.promise
    inner.push(watch(b.callNode('a', patient, {})))
    return 0
  })
  watch(a.callNode('b', outer, {}))
  await settle()
  clock.pass(9_000)
  await settle()
  gate.resolve()
  await settle()
  isTimeout(inner[0], 'no', /patient was not sent to .* node a: the time of the call it is part of is up/)
  assert.equal(carried.filter((e) => e.kind === 'call').length, 1)
})

test('what a call leaves behind is not bound by its time', async (t) => {
  const { a, b, clock } = await two(t)
  const gate = Promise.withResolvers<void>()
  a.serve(patient, async () => 5)
  let left: Promise<number> | undefined
  b.serve(outer, async () => {
    left = gate.promise.then(() => b.callNode('a', patient, {}))
    return 1
  })
  assert.equal(await a.callNode('b', outer, {}), 1)
  clock.pass(60_000)
  gate.resolve()
  assert.equal(await left, 5)
})

test('a dead node ends its calls before their time', async (t) => {
  const { a, b, hub } = await two(t)
  b.serve(work, async () => 0)
  a.serve(work, async () => 0)
  hub.cut('b')
  const call = a.call(work, { n: 1 })
  a.nodeGone('b', 1)
  await assert.rejects(call, { code: clusterErrors.nodeGone.code })
  assert.equal(a.figures()?.byMessage.get('work')?.failed, 1)
})
