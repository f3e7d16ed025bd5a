import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { defineMessage } from '#contract'
import { KeyedQueues, type Logger, silentLogger } from '#kernel'
import { createLocalBus } from './bus.ts'
import { createEvents, defineEvent } from './events.ts'
import { createRing } from './ring.ts'
import { ringShare } from './ring-share.ts'

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

test('a message reaches its one handler; without one, or with two, that is said by name', async () => {
  const bus = createLocalBus(new KeyedQueues())
  const double = defineMessage<number, number>('number.double')
  await assert.rejects(bus.call(double, 1), { code: 'SYS.1009', details: /number\.double/ })
  const served = bus.serve(double, async (n) => n * 2)
  assert.equal(await bus.call(double, 21), 42)
  assert.throws(() => bus.serve(double, async (n) => n), /two handlers for the message number\.double/)
  await served.dispose()
  await assert.rejects(bus.call(double, 1), { code: 'SYS.1009' })
})

test('messages of one key run one after the other, of other keys and without a key at the same time', async () => {
  const bus = createLocalBus(new KeyedQueues())
  const gate = Promise.withResolvers<void>()
  const started: string[] = []
  const keyed = defineMessage<string, void>('keyed', (input) => input.slice(0, 1))
  const free = defineMessage<string, void>('free')
  for (const message of [keyed, free])
    bus.serve(message, async (input) => {
      started.push(`${message.name} ${input}`)
      await gate.promise
    })
  const calls = ['a1', 'a2', 'b1'].flatMap((input) => [bus.call(keyed, input), bus.call(free, input)])
  await nextTurn()
  assert.deepEqual(started.toSorted(), ['free a1', 'free a2', 'free b1', 'keyed a1', 'keyed b1'])
  gate.resolve()
  await Promise.all(calls)
  assert.equal(started.at(-1), 'keyed a2')
})

test('events reach every listener after the emitter went on; one that fails is logged and harms nobody', async () => {
  const logged: object[] = []
  const log: Logger = { ...silentLogger, error: (fields) => void logged.push(fields) }
  const events = createEvents(log)
  const happened = defineEvent<number>('thing.happened')
  const heard: string[] = []
  events.on(happened, () => {
    throw new Error('synchronously')
  })
  events.on(happened, () => Promise.reject(new Error('later')))
  events.on(happened, (n) => void heard.push(`first ${n}`))
  const second = events.on(happened, (n) => void heard.push(`second ${n}`))
  events.emit(happened, 1)
  assert.deepEqual(heard, [], 'a listener ran before the emitter went on')
  await nextTurn()
  assert.deepEqual(heard, ['first 1', 'second 1'])
  assert.equal(logged.length, 2)
  events.emit(happened, 2)
  await second.dispose()
  await nextTurn()
  assert.deepEqual(heard.slice(2), ['first 2'], 'a listener heard of an event after it was disposed of')
})

test('the owner of a key depends on the members only, and a member that leaves moves no other key', () => {
  const members = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 2, maxLength: 5 })
  fc.assert(
    fc.property(members, fc.array(fc.string(), { maxLength: 20 }), (names, keys) => {
      const ring = createRing(names)
      const turned = createRing(names.toReversed())
      const [gone, ...rest] = names
      const smaller = createRing(rest)
      for (const key of keys) {
        const owner = ring.ownerOf(key)
        assert.ok(names.includes(owner))
        assert.equal(turned.ownerOf(key), owner)
        if (owner !== gone) assert.equal(smaller.ownerOf(key), owner)
      }
    }),
    { numRuns: 30 },
  )
  assert.throws(() => createRing([]), /at least one member/)
})

test('every member owns a fair part of the keys', () => {
  const ring = createRing(['a', 'b', 'c', 'd'])
  const owned = new Map<string, number>()
  for (let i = 0; i < 10_000; i += 1) {
    const owner = ring.ownerOf(`key-${i}`)
    owned.set(owner, (owned.get(owner) ?? 0) + 1)
  }
  for (const member of ring.members)
    assert.ok((owned.get(member) ?? 0) > 1_250, `${member} owns ${owned.get(member)}`)
})

test('the shares of all members are told in percent and make a whole', () => {
  assert.equal(ringShare(createRing(['a']), 'a'), 100)
  assert.equal(ringShare(createRing(['a']), 'b'), 0)
  const ring = createRing(['a', 'b', 'c'])
  const shares = ring.members.map((member) => ringShare(ring, member))
  for (const share of shares) assert.ok(share > 20 && share < 50, shares.join(' '))
  assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 100) <= 1)
  assert.equal(ringShare(ring, 'nobody'), 0)
})
