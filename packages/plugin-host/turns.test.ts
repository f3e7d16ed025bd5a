import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bus } from '#bus'
import { KeyedQueues } from '#kernel'
import { createTurns } from './turns.ts'

type Handler = (input: unknown) => Promise<unknown>

/** Two nodes, the second of which owns every key. */
function twoNodes() {
  const handlers = { first: new Map<string, Handler>(), second: new Map<string, Handler>() }
  const queues = { first: new KeyedQueues(), second: new KeyedQueues() }
  const ask = (node: keyof typeof handlers, name: string, input: unknown) => {
    const handler = handlers[node].get(name) as Handler
    return handler(JSON.parse(JSON.stringify(input)))
  }
  const busOf = (self: keyof typeof handlers) => ({
    serve: (message: { name: string }, handler: Handler) => handlers[self].set(message.name, handler),
    call: (message: { name: string; key: (input: unknown) => string }, input: unknown) =>
      queues.second.run(message.key(input), message.name, () => ask('second', message.name, input)),
    callNode: (node: keyof typeof handlers, message: { name: string }, input: unknown) =>
      ask(node, message.name, input),
  })
  const turnsOf = (self: keyof typeof handlers) =>
    createTurns({ bus: busOf(self) as unknown as Bus, queues: queues[self], self })
  return { queues, first: turnsOf('first'), second: turnsOf('second') }
}

test('work waits for its turn in a queue of another node, runs where it was asked for, and ends the turn', async () => {
  const { queues, first, second } = twoNodes()
  const gate = Promise.withResolvers<void>()
  const log: string[] = []
  const before = queues.second.run('vm:a', 'a move', () => gate.promise.then(() => void log.push('moved')))
  const retry = first('vm:a', async () => void log.push('retried'))
  const after = second('vm:a', async () => void log.push('after'))
  gate.resolve()
  await Promise.all([before, retry, after])
  assert.deepEqual(log, ['moved', 'retried', 'after'])
  await assert.rejects(
    first('vm:a', () => Promise.reject(new Error('no'))),
    /no/,
  )
  assert.deepEqual([...queues.first.entries(), ...queues.second.entries()], [])
})

test('the node that works tells that it does, should the owner of the queue die meanwhile', async () => {
  const { queues, first, second } = twoNodes()
  const keysOf = async (node: typeof first) => {
    let keys: string[] = []
    await node('vm:a', async () => {
      keys = queues.first.keys()
    })
    return keys
  }
  assert.deepEqual(await keysOf(first), ['vm:a'])
  assert.deepEqual(await keysOf(second), [])
})
