import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRing } from '#bus'
import { createLogger, KeyedQueues } from '#kernel'
import { Ownership } from './ownership.ts'

const view = (epoch: number, names: readonly string[]) => ({
  ...{ epoch, ring: createRing(names) },
  members: names.map((uuid) => ({ uuid, incarnation: 1, hostName: uuid, state: 'Running' })),
})

/** A node whose looks at what dead nodes left end when they are told to. */
function nodeNamed(self: string) {
  const looks: (() => void)[] = []
  const ownership = new Ownership({
    ...{ self, queues: new KeyedQueues(), log: createLogger({ name: 'test', level: 'silent' }) },
    handOver: { lingering: () => Promise.resolve([]), released: () => Promise.resolve() },
    takeOver: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      looks.push(resolve)
      return promise
    },
  })
  return { ownership, looks }
}

test('a node that has just joined works on no key before what its earlier run left is queued', async () => {
  const { ownership, looks } = nodeNamed('a')
  assert.equal(ownership.admit('vm:1'), undefined, 'before it joins it has itself alone to ask')
  ownership.apply(view(1, ['a']))
  const whenOpen = ownership.admit('vm:1')
  assert.ok(whenOpen, 'the key is open although nobody looked yet')
  looks[0]?.()
  await whenOpen
  assert.equal(ownership.admit('vm:1'), undefined)
})

test('a ring that changes before the first one is settled opens nothing either', async () => {
  const { ownership, looks } = nodeNamed('a')
  ownership.apply(view(1, ['a']))
  ownership.apply(view(2, ['a']))
  const whenOpen = ownership.admit('vm:1')
  looks[0]?.()
  await Promise.resolve()
  assert.ok(ownership.admit('vm:1'), 'the key is open although the change is not settled')
  looks[1]?.()
  await whenOpen
  assert.equal(ownership.admit('vm:1'), undefined)
})
