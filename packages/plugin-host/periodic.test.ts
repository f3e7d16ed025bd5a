import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { silentLogger } from '#kernel'
import { repeat } from './periodic.ts'

test('an interval that is made shorter counts for the wait under way; runs never overlap', async (t) => {
  t.after(() => mock.timers.reset())
  mock.timers.enable({ apis: ['setTimeout'] })
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      mock.timers.tick(1_000)
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve()
    }
  }
  let seconds = 3_600
  let runs = 0
  const stop = repeat(
    'job',
    () => seconds,
    async () => {
      runs += 1
    },
    silentLogger,
  )
  await pass(60_000)
  assert.equal(runs, 0)
  seconds = 30
  await pass(11_000)
  assert.equal(runs, 1)
  await pass(60_000)
  assert.equal(runs, 3)
  await stop()
  await pass(60_000)
  assert.equal(runs, 3)
})
