import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { defineMessage } from '#contract'
import { CloudError, clusterErrors, currentTask, KeyedQueues, sysErrors, withTask } from '#kernel'
import { type ClusterBus, type ClusterRoutes, createClusterBus } from './bus.ts'
import { createMemoryHub, type MemoryHub } from './memory-transport.ts'

const count = defineMessage<{ key: string; n: number }, number>('count', ({ key }) => `thing:${key}`)
const whoami = defineMessage<object, { node: string; task: string | undefined }>('whoami')

interface Node {
  readonly name: string
  readonly bus: ClusterBus
  readonly done: number[]
}

/** Nodes that all think that `ownerOf` is right. */
async function nodes(
  t: TestContext | undefined,
  hub: MemoryHub,
  names: readonly string[],
  ownerOf: (key: string, asked: string) => string,
): Promise<Node[]> {
  return Promise.all(
    names.map(async (name) => {
      const routes: ClusterRoutes = {
        self: name,
        ownerOf: (key) => ownerOf(key, name),
        admit: () => undefined,
        runOf: () => 1,
      }
      const bus = createClusterBus(new KeyedQueues(), routes, hub.transport(name))
      const done: number[] = []
      bus.serve(count, async ({ n }) => {
        done.push(n)
        if (n < 0) throw new CloudError(sysErrors.operationFailed, `${n} is negative`, { opaque: { n } })
        return n * 2
      })
      bus.serve(whoami, async () => ({ node: name, task: currentTask()?.id }))
      await bus.open(() => {})
      bus.begin(1)
      t?.after(() => bus.dispose())
      return { name, bus, done }
    }),
  )
}

test('a call runs on the owner of its key with the task of its caller; errors come back as they were', async (t) => {
  const [a, b] = await nodes(t, createMemoryHub(), ['a', 'b'], () => 'b')
  assert.ok(a !== undefined && b !== undefined)
  assert.equal(await a.bus.call(count, { key: 'x', n: 21 }), 42)
  assert.deepEqual([a.done, b.done], [[], [21]])
  const failure = { code: 'SYS.1006', details: '-1 is negative', opaque: { n: -1 } }
  await assert.rejects(a.bus.call(count, { key: 'x', n: -1 }), failure)
  const { signal } = new AbortController()
  const task = { id: 'task-1', name: 'T', signal, progress: () => {} }
  const seen = await withTask(task, () => a.bus.callNode('b', whoami, {}))
  assert.deepEqual(seen, { node: 'b', task: 'task-1' })
  assert.equal((await a.bus.callNode('a', whoami, {})).node, 'a')
})

test('whatever the wire does to envelopes, every call is done exactly once and answered', async () => {
  const fates = fc.array(
    fc.record({ copies: fc.integer({ min: 1, max: 3 }), turns: fc.integer({ min: 1, max: 9 }) }),
    {
      minLength: 1,
      maxLength: 20,
    },
  )
  await fc.assert(
    fc.asyncProperty(fates, fc.integer({ min: 1, max: 30 }), async (list, calls) => {
      const hub = createMemoryHub()
      let at = 0
      hub.bend(() => {
        at += 1
        return list[at % list.length] ?? { copies: 1, turns: 1 }
      })
      const [a, b] = await nodes(undefined, hub, ['a', 'b'], () => 'b')
      assert.ok(a !== undefined && b !== undefined)
      const wanted = Array.from({ length: calls }, (_, n) => n)
      const answers = await Promise.all(wanted.map((n) => a.bus.call(count, { key: String(n % 3), n })))
      // What is still on its way is a repeat.
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
      assert.deepEqual(
        answers,
        wanted.map((n) => n * 2),
      )
      assert.deepEqual(
        b.done.toSorted((x, y) => x - y),
        wanted,
      )
      await Promise.all([a.bus.dispose(), b.bus.dispose()])
    }),
    { numRuns: 50 },
  )
})

test('the unanswered calls of a node that is declared dead end at once, and say that they may have been begun', async (t) => {
  const hub = createMemoryHub()
  const [a] = await nodes(t, hub, ['a', 'b'], () => 'b')
  assert.ok(a !== undefined)
  hub.cut('b')
  const call = a.bus.call(count, { key: 'x', n: 1 })
  assert.equal(a.bus.figures()?.unanswered, 1)
  a.bus.nodeGone('b', 1)
  await assert.rejects(call, {
    code: clusterErrors.nodeGone.code,
    details: /node b died while it worked on count/,
  })
  assert.equal(a.bus.figures()?.unanswered, 0)
})

test('when its node dies, a call of an idempotent message is done by the new owner of its key', async (t) => {
  const hub = createMemoryHub()
  let owner = 'b'
  const [a, b, c] = await nodes(t, hub, ['a', 'b', 'c'], () => owner)
  assert.ok(a !== undefined && b !== undefined && c !== undefined)
  const tidy = defineMessage<object, string>('tidy', () => 'thing:x', { idempotent: true })
  const asked: string[] = []
  for (const { name, bus } of [a, b, c])
    bus.serve(tidy, async () => {
      asked.push(name)
      if (name === 'b') await new Promise(() => {})
      return name
    })
  const calls = Promise.all([a.bus.call(tidy, {}), a.bus.call(tidy, {})])
  while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve))
  owner = 'c'
  a.bus.nodeGone('b', 1)
  assert.deepEqual(await calls, ['c', 'c'])
  // The second of them waited for the first in the queue of b.
  assert.deepEqual(asked, ['b', 'c', 'c'])
  // Also when that is the one that asks.
  owner = 'b'
  const again = a.bus.call(tidy, {})
  owner = 'a'
  a.bus.nodeGone('b', 1)
  assert.equal(await again, 'a')
})

test('a call follows its key to a new owner, and gives up when nobody owns it', async (t) => {
  // Node a believes that b owns everything; b knows that it is c.
  const [a, , c] = await nodes(t, createMemoryHub(), ['a', 'b', 'c'], (_, asked) =>
    asked === 'a' ? 'b' : 'c',
  )
  assert.equal(await a?.bus.call(count, { key: 'x', n: 4 }), 8)
  assert.deepEqual(c?.done, [4])
  // Each believes that it is the other.
  const other = (asked: string) => (asked === 'd' ? 'e' : 'd')
  const [d] = await nodes(t, createMemoryHub(), ['d', 'e'], (_, asked) => other(asked))
  assert.ok(d !== undefined)
  const moved = { code: clusterErrors.ownerMoved.code, details: /who works on thing:x; try again/ }
  await assert.rejects(d.bus.call(count, { key: 'x', n: 4 }), moved)
})

test('work that would wait for its own caller on another node is refused', async (t) => {
  const [a, b] = await nodes(t, createMemoryHub(), ['a', 'b'], (key) => (key === 'thing:a' ? 'a' : 'b'))
  assert.ok(a !== undefined && b !== undefined)
  const there = defineMessage<object, number>('there', () => 'thing:b')
  b.bus.serve(there, () => b.bus.call(count, { key: 'a', n: 1 }))
  a.bus.serve(there, async () => 0)
  const circle = a.bus.enter('thing:a', 'outer', () => a.bus.call(there, {}))
  await assert.rejects(circle, /waits for the queue thing:a/)
})

test('a node that started anew is heard, also when it asked before its earlier run was known to be over', async (t) => {
  const hub = createMemoryHub()
  const [a] = await nodes(t, hub, ['a', 'b'], () => 'a')
  assert.ok(a !== undefined)
  const again = createClusterBus(
    new KeyedQueues(),
    { self: 'b', ownerOf: () => 'a', admit: () => undefined, runOf: () => 1 },
    hub.transport('b'),
  )
  t.after(() => again.dispose())
  await again.open(() => {})
  again.begin(2)
  assert.equal(await again.callNode('a', count, { key: 'x', n: 1 }), 2)
  a.bus.nodeGone('b', 1)
  assert.equal(await again.callNode('a', count, { key: 'x', n: 2 }), 4)
})

test('what was meant for an earlier run of a node is not done by the next one', async (t) => {
  const hub = createMemoryHub()
  const [a, b] = await nodes(t, hub, ['a', 'b'], () => 'b')
  assert.ok(a !== undefined && b !== undefined)
  await b.bus.dispose()
  const next = createClusterBus(
    new KeyedQueues(),
    { self: 'b', ownerOf: () => 'b', admit: () => undefined, runOf: () => 1 },
    hub.transport('b'),
  )
  t.after(() => next.dispose())
  const done: number[] = []
  next.serve(count, async ({ n }) => done.push(n))
  await next.open(() => {})
  next.begin(2)
  const call = a.bus.call(count, { key: 'x', n: 1 })
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  a.bus.nodeGone('b', 1)
  await assert.rejects(call, { code: clusterErrors.nodeGone.code })
  assert.deepEqual(done, [])
})
