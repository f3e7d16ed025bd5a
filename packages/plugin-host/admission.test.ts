import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudError, sysErrors, waitFor } from '#kernel'
import { createAdmission } from './admission.ts'
import { admissionConfigs } from './admission-configs.ts'
import { createConfig } from './config.ts'

interface Asked {
  readonly account?: string
  readonly key?: string
  readonly signal?: AbortSignal
}

/** An admission whose jobs run until they are told to end. */
async function smallHouse(settings: Readonly<Record<string, number>> = {}) {
  const config = createConfig(admissionConfigs)
  for (const [name, value] of Object.entries(settings)) await config.set('apiJob', name, value)
  const admission = createAdmission(config)
  const begun: string[] = []
  const gates = new Map<string, PromiseWithResolvers<string>>()
  const ask = (name: string, { account = 'a', key, signal }: Asked = {}) => {
    const gate = Promise.withResolvers<string>()
    gates.set(name, gate)
    return admission.run({ taskId: name, label: name, accountUuid: account, key, signal }, () => {
      begun.push(name)
      return gate.promise
    })
  }
  const end = async (...names: string[]) => {
    for (const name of names) gates.get(name)?.resolve(name)
    await turn()
  }
  return { admission, config, begun, ask, end, gates }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('at most so many run; the rest follow in the order they came', async () => {
  const { admission, begun, ask, end } = await smallHouse({ parallelismDegree: 2 })
  const all = ['1', '2', '3', '4'].map((name) => ask(name))
  assert.deepEqual(begun, ['1', '2'])
  assert.deepEqual(
    admission.entries().map((e) => [e.taskId, e.state]),
    [
      ['1', 'running'],
      ['2', 'running'],
      ['3', 'waits for a slot'],
      ['4', 'waits for a slot'],
    ],
  )
  await end('2')
  assert.deepEqual(begun, ['1', '2', '3'])
  await end('1', '3', '4')
  assert.deepEqual(await Promise.all(all), ['1', '2', '3', '4'])
  const { refused, ...figures } = admission.figures
  assert.deepEqual(figures, { unfinished: 0, running: 0, slow: 0, waiting: 0, oldestWaitMs: 0 })
  assert.deepEqual(
    [...refused],
    [
      ['apiJob.maxUnfinished', 0],
      ['apiJob.maxUnfinishedPerAccount', 0],
    ],
  )
})

test('a job that fails gives its slot back and fails alone', async () => {
  const { begun, ask, end, gates } = await smallHouse({ parallelismDegree: 1 })
  const first = ask('1')
  const second = ask('2')
  gates.get('1')?.reject(new Error('no'))
  await assert.rejects(first, { message: 'no' })
  await turn()
  assert.deepEqual(begun, ['1', '2'])
  await end('2')
  assert.equal(await second, '2')
})

test('accounts take turns, however many one of them has brought', async () => {
  const { begun, ask, end } = await smallHouse({ parallelismDegree: 1 })
  const flood = ['1', '2', '3', '4'].map((name) => ask(name, { account: 'big' }))
  const others = [ask('x', { account: 'x' }), ask('y', { account: 'y' })]
  for (const name of ['1', '2', 'x', 'y', '3', '4']) await end(name)
  assert.deepEqual(begun, ['1', '2', 'x', 'y', '3', '4'])
  await Promise.all([...flood, ...others])
})

test('a thousand calls on one object take one slot; they run in order, and before what their account asked later', async () => {
  const { admission, begun, ask, end } = await smallHouse({ parallelismDegree: 3 })
  const vm = Array.from({ length: 1000 }, (_, i) => ask(`vm${i}`, { key: 'vm' }))
  const others = ['1', '2', '3'].map((name) => ask(name))
  assert.deepEqual(begun, ['vm0', '1', '2'])
  assert.equal(admission.entries().filter((e) => e.state === 'waits for its key').length, 999)
  await end('vm0')
  assert.deepEqual(begun.slice(3), ['vm1'], 'what came first goes first')
  await end('1', '2', '3')
  for (let i = 1; i < 1000; i += 1) await end(`vm${i}`)
  await Promise.all([...vm, ...others])
  assert.deepEqual(
    begun.filter((name) => name.startsWith('vm')),
    vm.map((_, i) => `vm${i}`),
  )
})

test('one that is cancelled while it waits never runs, and holds nobody up', async () => {
  const { begun, ask, end } = await smallHouse({ parallelismDegree: 1 })
  const give = [new AbortController(), new AbortController(), new AbortController()] as const
  const first = ask('1')
  const cancelled = [
    ask('2', { signal: give[0].signal }),
    ask('3', { key: 'k', signal: give[1].signal }),
    ask('4', { key: 'k', signal: give[2].signal }),
  ]
  const last = ask('5', { key: 'k' })
  const refusals = cancelled.map((one) => assert.rejects(one, { code: 'SYS.1017' }))
  for (const one of give) one.abort()
  await Promise.all(refusals)
  await end('1')
  assert.deepEqual(begun, ['1', '5'])
  await end('5')
  assert.deepEqual(await Promise.all([first, last]), ['1', '5'])
  await assert.rejects(ask('6', { signal: AbortSignal.abort() }), { code: 'SYS.1017' })
})

test('slow ones give their slots up to those who wait, and still keep their keys', async () => {
  const { admission, config, begun, ask, end } = await smallHouse({ parallelismDegree: 2, slowAfter: 3600 })
  const all = [ask('1', { key: 'k' }), ask('2'), ask('3', { key: 'k' }), ask('4')]
  assert.deepEqual(begun, ['1', '2'])
  await config.set('apiJob', 'slowAfter', 0.001)
  await waitFor('the fourth', () => begun.includes('4'))
  assert.equal(admission.figures.slow, 2)
  assert.equal(begun.includes('3'), false)
  await end('1', '2', '3', '4')
  assert.deepEqual(await Promise.all(all), ['1', '2', '3', '4'])
  assert.equal(admission.figures.slow, 0)
})

test('a larger limit counts at once', async () => {
  const { config, begun, ask, end } = await smallHouse({ parallelismDegree: 1 })
  const all = [ask('1'), ask('2'), ask('3')]
  await config.set('apiJob', 'parallelismDegree', 3)
  assert.deepEqual(begun, ['1', '2', '3'])
  await end('1', '2', '3')
  await Promise.all(all)
})

test('more unfinished ones than allowed are refused, with the limit and when to come again', async () => {
  const { admission } = await smallHouse({ maxUnfinished: 3, maxUnfinishedPerAccount: 2 })
  admission.enter('a')
  admission.enter('a')
  const refusal = { code: 'LOAD.1001', retryAfterSeconds: 1 }
  const ofAccount = { limit: 'apiJob.maxUnfinishedPerAccount', unfinished: 2 }
  assert.throws(() => admission.enter('a'), { ...refusal, opaque: ofAccount })
  admission.enter('b')
  const ofAll = { limit: 'apiJob.maxUnfinished', unfinished: 3 }
  assert.throws(() => admission.enter('b'), { ...refusal, opaque: ofAll })
  admission.leave('a')
  admission.enter('b')
  assert.equal(admission.figures.unfinished, 3)
})

test('when it closes, what waits is refused and what runs goes on', async () => {
  const { admission, begun, ask, end } = await smallHouse({ parallelismDegree: 1 })
  const first = ask('1', { key: 'k' })
  const waiting = [ask('2'), ask('3', { key: 'k' })]
  const refusals = waiting.map((one) => assert.rejects(one, { code: 'SYS.1010' }))
  admission.close(new CloudError(sysErrors.notReady, 'stopping'))
  await Promise.all(refusals)
  await assert.rejects(ask('4'), { code: 'SYS.1010' })
  await end('1')
  assert.equal(await first, '1')
  assert.deepEqual(begun, ['1'])
})
