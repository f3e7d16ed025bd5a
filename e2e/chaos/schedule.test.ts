import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRandom } from './random.ts'
import { makeSchedule, type Target } from './schedule.ts'

const target = (group: string, name: string): Target => ({
  ...{ group, name },
  ways: { break: { weight: 1, longestMs: 5_000, breakIt: () => undefined } },
})
const targets = ['a', 'b', 'c'].flatMap((group) => [target(group, `${group}0`), target(group, `${group}1`)])
const rare = [target('a', 'most of a')]
const times = { durationMs: 120_000, everyMs: 1_000, stormMs: 10_000, calmMs: 15_000 }
const make = (seed: number) => makeSchedule({ ...times, targets, rare, random: createRandom(seed) })

test('a seed decides all faults', () => {
  const tell = (seed: number) =>
    make(seed).map(({ atMs, untilMs, target: { name } }) => [name, atMs, untilMs])
  assert.deepEqual(tell(1), tell(1))
  assert.notDeepEqual(tell(1), tell(2))
})

for (const seed of [1, 2, 3, 4, 5]) {
  test(`faults come in storms, and there is calm in between: seed ${seed}`, () => {
    const faults = make(seed)
    assert.ok(faults.length > 15, `there are only ${faults.length}`)
    for (const { atMs, untilMs } of faults) {
      assert.ok(atMs % 25_000 < 10_000, `one begins at ${atMs}`)
      assert.ok(untilMs % 25_000 <= 10_200 && untilMs - atMs < 10_200, `one lasts from ${atMs} to ${untilMs}`)
    }
  })

  test(`of a group one is broken at a time, and the rare one once: seed ${seed}`, () => {
    const faults = make(seed)
    assert.equal(faults.filter(({ target: { name } }) => name === 'most of a').length, 1)
    for (const [group, own] of Map.groupBy(faults, ({ target: one }) => one.group))
      for (const [i, { atMs }] of own.entries())
        assert.ok(i === 0 || atMs >= (own[i - 1]?.untilMs ?? 0) + 500, `${group} is broken twice at ${atMs}`)
  })
}
