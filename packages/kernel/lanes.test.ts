import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Lanes } from './lanes.ts'

test('a lane never runs more than its limit, and starts work in arrival order; others do not wait for it', async () => {
  const jobs = fc.array(fc.record({ key: fc.constantFrom('a', 'b'), turns: fc.nat(4) }), { maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(jobs, fc.integer({ min: 1, max: 4 }), async (list, limit) => {
      const lanes = new Lanes()
      const running = { a: 0, b: 0 }
      const started: Record<'a' | 'b', number[]> = { a: [], b: [] }
      const all = list.map(({ key, turns }, i) => {
        const run = async () => {
          running[key] += 1
          assert.ok(running[key] <= limit)
          started[key].push(i)
          for (let t = 0; t < turns; t += 1) await Promise.resolve()
          running[key] -= 1
          if (turns === 3) throw new Error('fails')
        }
        return lanes.run(key, () => limit, { label: `job ${i}`, run })
      })
      await Promise.allSettled(all)
      for (const key of ['a', 'b'] as const)
        assert.deepEqual(
          started[key],
          [...list.keys()].filter((i) => list[i]?.key === key),
        )
      assert.deepEqual(lanes.entries(), [])
    }),
  )
})

test('what runs and what waits can be seen; a limit that grows lets more begin', async () => {
  const lanes = new Lanes()
  const gate = Promise.withResolvers<void>()
  let limit = 1
  const all = ['one', 'two', 'three'].map((label) =>
    lanes.run('host:x', () => limit, { label, run: () => gate.promise }),
  )
  const shown = () => lanes.entries().map(({ key, label, running }) => [key, label, running])
  assert.deepEqual(shown(), [
    ['host:x', 'one', true],
    ['host:x', 'two', false],
    ['host:x', 'three', false],
  ])
  limit = 2
  lanes.admit()
  assert.deepEqual(
    shown().map(([, , running]) => running),
    [true, true, false],
  )
  gate.resolve()
  await Promise.all(all)
  assert.deepEqual(shown(), [])
})

test('work that is cancelled while it waits never runs and leaves the lane; what runs goes on', async () => {
  const lanes = new Lanes()
  const gate = Promise.withResolvers<string>()
  const controller = new AbortController()
  const { signal } = controller
  const never = async () => assert.fail('cancelled work ran')
  const first = lanes.run('k', () => 1, { label: 'first', signal, run: () => gate.promise })
  const second = lanes.run('k', () => 1, { label: 'second', signal, run: never })
  controller.abort()
  await assert.rejects(second, { code: 'SYS.1017', details: 'second was cancelled while it waited for k' })
  await assert.rejects(
    lanes.run('k', () => 1, { label: 'late', signal, run: never }),
    { code: 'SYS.1017' },
  )
  assert.equal(lanes.entries().length, 1)
  gate.resolve('done')
  assert.equal(await first, 'done')
  assert.deepEqual(lanes.entries(), [])
})
