import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SharedWork } from './shared-work.ts'

function caller() {
  const abort = new AbortController()
  const seen: number[] = []
  return { abort, seen, signal: abort.signal, progress: (percent: number) => void seen.push(percent) }
}

test('callers share one piece of work, its progress and its result', async () => {
  const shared = new SharedWork<string>()
  const gate = Promise.withResolvers<void>()
  let started = 0
  const work = async (context: { progress(percent: number): void }) => {
    started += 1
    context.progress(40)
    await gate.promise
    context.progress(40.7)
    context.progress(100)
    return 'done'
  }
  const [a, b] = [caller(), caller()]
  const both = [shared.run('k', 'f', a, work), shared.run('k', 'f', b, work)]
  await assert.rejects(shared.run('k', 'other', caller(), work), /another source/)
  gate.resolve()
  assert.deepEqual(await Promise.all(both), ['done', 'done'])
  assert.equal(started, 1)
  assert.deepEqual(
    [a.seen, b.seen],
    [
      [40, 100],
      [40, 100],
    ],
  )
})

test('the work goes on while one caller is left, and is aborted with the last', async () => {
  const shared = new SharedWork<string>()
  let cleaned = false
  const work = (context: { signal: AbortSignal }) =>
    new Promise<string>((_resolve, reject) => {
      context.signal.addEventListener('abort', () => {
        cleaned = true
        reject(new Error('aborted'))
      })
    })
  const [a, b] = [caller(), caller()]
  const first = shared.run('k', 'f', a, work)
  const second = shared.run('k', 'f', b, work)
  a.abort.abort()
  await assert.rejects(first, { code: 'SYS.1017' })
  assert.equal(cleaned, false)
  b.abort.abort()
  // Comes while the aborted work is being undone: it gets work of its own.
  const third = shared.run('k', 'f', caller(), async () => 'fresh')
  await assert.rejects(second, { code: 'SYS.1017' })
  assert.equal(cleaned, true)
  assert.equal(await third, 'fresh')
})

test('a failure reaches every caller and the next one starts anew', async () => {
  const shared = new SharedWork<string>()
  const failing = async () => {
    throw new Error('injected')
  }
  const both = [shared.run('k', 'f', caller(), failing), shared.run('k', 'f', caller(), failing)]
  for (const run of both) await assert.rejects(run, /injected/)
  assert.equal(await shared.run('k', 'f', caller(), async () => 'again'), 'again')
})
