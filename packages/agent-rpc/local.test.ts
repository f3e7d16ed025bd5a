import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineAgentCall } from './call.ts'
import { createLocalAgent } from './local.ts'
import { testCalls } from './test-agent.ts'

const handlers = {
  echo: async ({ word }: { word: string }) => ({ words: [word] }),
  hold: () => new Promise<never>(() => undefined),
}

test('a local agent passes input and context straight to the handler, and events to followers', async () => {
  const agent = createLocalAgent(testCalls, handlers)
  assert.deepEqual(await agent.call(testCalls.echo, { word: 'a' }), { words: ['a'] })
  const heard: string[] = []
  const follower = agent.events(
    (event) => heard.push(event.name),
    () => heard.push('up'),
  )
  agent.emit({ name: 'test.tick', atMs: 1, data: {} })
  await follower.dispose()
  agent.emit({ name: 'test.tick', atMs: 2, data: {} })
  assert.deepEqual(heard, ['up', 'test.tick'])
})

test('deadline, cancellation, closing and unknown commands work as on the wire', async () => {
  const agent = createLocalAgent(testCalls, handlers)
  await assert.rejects(agent.call(testCalls.hold, {}, { timeoutMs: 5 }), { code: 'SYS.1001' })
  await assert.rejects(agent.call(testCalls.hold, {}, { signal: AbortSignal.abort() }), { code: 'SYS.1017' })
  const unknown = defineAgentCall({ name: 'test.other', summary: 'Not there.', input: {}, output: {} })
  await assert.rejects(agent.call(unknown, {}), { code: 'SYS.1008' })
  agent.close()
  await assert.rejects(agent.call(testCalls.echo, { word: 'a' }), { code: 'SYS.1016' })
})

test('twenty thousand calls take well under a second', async () => {
  const agent = createLocalAgent(testCalls, handlers)
  const startedAt = performance.now()
  for (let i = 0; i < 20_000; i += 1) await agent.call(testCalls.echo, { word: 'a' })
  const ms = performance.now() - startedAt
  assert.ok(ms < 2_000, `${ms} ms`)
})
