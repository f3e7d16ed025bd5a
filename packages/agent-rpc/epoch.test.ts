import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { CloudError, clusterErrors, sysErrors, waitFor } from '#kernel'
import { epochFile } from './epoch-file.ts'
import { createEpochGate, type EpochStore } from './epoch-gate.ts'
import { startTestAgent, testAuthority, testCalls } from './test-agent.ts'

const stale = { code: clusterErrors.staleEpoch.code }
const at = (epoch: number) => ({ epoch: () => epoch })

/** A store whose writes the test lets through one by one. */
function heldStore() {
  const saves: { epoch: number; done: (error?: Error) => void }[] = []
  const store: EpochStore = {
    load: () => 0,
    save: (epoch) =>
      new Promise((resolve, reject) => {
        saves.push({ epoch, done: (error) => (error === undefined ? resolve() : reject(error)) })
      }),
  }
  return { saves, store }
}

test('a call of a lower epoch runs nothing and names both epochs; equal and higher ones pass', async (t) => {
  const ran: string[] = []
  const agent = await startTestAgent(t, {
    handlers: {
      echo: async ({ word }) => {
        ran.push(word)
        return { words: [word] }
      },
      hold: async () => ({ state: 'done', first: true }),
    },
  })
  await agent.client().call(testCalls.echo, { word: 'alone' })
  await agent.client(at(5)).call(testCalls.echo, { word: 'five' })
  await assert.rejects(agent.client(at(4)).call(testCalls.echo, { word: 'four' }), {
    ...stale,
    details: /^test\.echo was sent at epoch 4 of the cluster, the agent has seen epoch 5/,
    opaque: { epoch: 4, highest: 5 },
  })
  await assert.rejects(agent.client().call(testCalls.echo, { word: 'alone again' }), stale)
  await agent.client(at(5)).call(testCalls.echo, { word: 'five again' })
  await agent.client(at(6)).call(testCalls.echo, { word: 'six' })
  await assert.rejects(agent.client(at(5)).call(testCalls.echo, { word: 'late five' }), stale)
  assert.deepEqual(ran, ['alone', 'five', 'five again', 'six'])
  // What changes nothing is asked for by whoever may ask.
  assert.equal((await agent.client(at(1)).hello()).uuid, agent.uuid)
})

test('a call id that ran does not let a stale repeat learn its outcome', async (t) => {
  const agent = await startTestAgent(t)
  const callId = 'the-same'
  await agent.client(at(3)).call(testCalls.echo, { word: 'a' }, { callId })
  await agent.client(at(4)).call(testCalls.echo, { word: 'b' })
  await assert.rejects(agent.client(at(3)).call(testCalls.echo, { word: 'a' }, { callId }), stale)
})

test('a restarted agent remembers the highest epoch, and one whose file is gone has forgotten it', async (t) => {
  const { authority, dir } = await testAuthority(t)
  const path = join(dir, 'cluster-epoch')
  const first = await startTestAgent(t, { authority, epochs: epochFile(path) })
  await first.client(at(41)).call(testCalls.echo, { word: 'a' })
  assert.equal(await readFile(path, 'utf8'), '41\n')
  assert.deepEqual(
    (await readdir(dir)).filter((name) => name.startsWith('cluster-epoch')),
    ['cluster-epoch'],
  )
  await first.server.close()
  const second = await startTestAgent(t, { authority, epochs: epochFile(path) })
  await assert.rejects(second.client(at(40)).call(testCalls.echo, { word: 'a' }), stale)
  await second.client(at(41)).call(testCalls.echo, { word: 'a' })
})

test('a file that holds no epoch stops the start: taking it for none would let in whoever was shut out', async (t) => {
  const { dir } = await testAuthority(t)
  const path = join(dir, 'cluster-epoch')
  for (const text of ['', 'seven\n', '7', '-1\n', '99999999999999999999\n']) {
    await writeFile(path, text)
    assert.throws(() => epochFile(path).load(), { code: sysErrors.ioError.code, details: /holds no epoch/ })
  }
})

test('nothing of a higher epoch runs before that is stored, and an older one is refused meanwhile', async () => {
  const { saves, store } = heldStore()
  const gate = createEpochGate(store)
  const passed: number[] = []
  const admit = (epoch: number) => gate.admit(epoch, 'x').then(() => passed.push(epoch))
  await admit(0)
  const two = admit(2)
  const again = admit(2)
  await assert.rejects(gate.admit(1, 'x'), stale)
  assert.deepEqual({ passed, saving: saves.map(({ epoch }) => epoch) }, { passed: [0], saving: [2] })
  const three = admit(3)
  const ended = Promise.allSettled([two, again])
  saves[0]?.done()
  await waitFor('the second write', () => saves.length === 2)
  assert.deepEqual(passed, [0])
  saves[1]?.done()
  await three
  // Whoever waited for 2 learns that 3 was seen before it could run.
  const codes = (await ended).map((end) => end.status === 'rejected' && (end.reason as CloudError).code)
  assert.deepEqual({ passed, codes }, { passed: [0, 3], codes: [stale.code, stale.code] })
})

test('many raises at once end at the highest, with as few writes as there can be', async () => {
  const stored: number[] = []
  const gate = createEpochGate({ load: () => 0, save: async (epoch) => void stored.push(epoch) })
  const epochs = Array.from({ length: 100 }, (_, i) => ((i * 37) % 100) + 1)
  const ended = await Promise.allSettled(epochs.map((epoch) => gate.admit(epoch, 'x')))
  assert.equal(gate.highest(), 100)
  assert.equal(stored.at(-1), 100)
  assert.ok(stored.length <= 2, `${stored.length} writes`)
  const refusals = ended.filter((end) => end.status === 'rejected').map((end) => end.reason as CloudError)
  assert.ok(refusals.every((error) => error instanceof CloudError && error.code === stale.code))
})

test('an epoch that cannot be stored runs nothing; the next call tries again', async (t) => {
  const { dir } = await testAuthority(t)
  const gate = createEpochGate(epochFile(join(dir, 'absent', 'cluster-epoch')))
  for (const _ of [1, 2]) {
    await assert.rejects(gate.admit(2, 'x'), {
      code: sysErrors.ioError.code,
      details: /cannot remember the cluster's epoch 2 .* is the disk full\?/,
    })
  }
  await assert.rejects(gate.admit(1, 'x'), stale)
})

test('a sender that is still a member reads the epoch anew and calls once more', async (t) => {
  const agent = await startTestAgent(t)
  await agent.client(at(9)).call(testCalls.echo, { word: 'a' })
  let known = 8
  const renewing = agent.client({
    epoch: () => known,
    renewEpoch: async () => {
      known = 9
    },
  })
  assert.deepEqual(await renewing.call(testCalls.echo, { word: 'b' }), { words: ['b'] })
  const thrown = new Error('this node is no member any more')
  const fenced = agent.client({ ...at(7), renewEpoch: () => Promise.reject(thrown) })
  await assert.rejects(fenced.call(testCalls.echo, { word: 'c' }), { cause: thrown })
  const unchanged = agent.client({ ...at(7), renewEpoch: async () => undefined })
  await assert.rejects(unchanged.call(testCalls.echo, { word: 'd' }), stale)
})

test('an epoch that is none is refused by name', async (t) => {
  const agent = await startTestAgent(t)
  for (const epoch of [-1, 1.5, Number.NaN]) {
    const call = agent.client(at(epoch)).call(testCalls.echo, { word: 'a' })
    await assert.rejects(call, { code: sysErrors.invalidArgument.code, details: /x-cluster-epoch/ })
  }
})

test('a call whose caller has gone before it began does not begin', async (t) => {
  const { saves, store } = heldStore()
  const ran: string[] = []
  const agent = await startTestAgent(t, {
    epochs: store,
    handlers: {
      echo: async ({ word }) => {
        ran.push(word)
        return { words: [word] }
      },
      hold: async () => ({ state: 'done', first: true }),
    },
  })
  const client = agent.client(at(1))
  await assert.rejects(client.call(testCalls.echo, { word: 'late' }, { timeoutMs: 100 }), {
    code: 'SYS.1001',
  })
  const next = client.call(testCalls.echo, { word: 'next' })
  await waitFor('the write', () => saves.length === 1)
  // A round trip, in which the agent hears that the first caller has gone.
  await client.hello()
  saves[0]?.done()
  assert.deepEqual(await next, { words: ['next'] })
  assert.deepEqual(ran, ['next'])
})
