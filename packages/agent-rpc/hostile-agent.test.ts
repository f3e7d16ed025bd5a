import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { CloudError, newUuid, silentLogger, waitFor } from '#kernel'
import type { AgentEvent } from './call.ts'
import { createAgentClient } from './client.ts'
import { testAuthority, testCalls } from './test-agent.ts'

/** A client of something with an agent's certificate that answers each request with the next of `answers`. */
async function clientOf(t: TestContext, answers: readonly string[]) {
  const { authority } = await testAuthority(t)
  const uuid = newUuid()
  const identity = await authority.issueAgent({ uuid, role: 'test', addresses: ['127.0.0.1'] })
  let next = 0
  const server = createServer({ ...identity, requestCert: true }, (request, response) => {
    request.resume()
    response.end(answers[Math.min(next, answers.length - 1)])
    next += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const tls = await authority.issueManagement()
  const client = createAgentClient({ address: '127.0.0.1', port, uuid, tls, logger: silentLogger })
  t.after(() => {
    client.close()
    server.closeAllConnections()
    server.close()
  })
  return client
}

const line = (value: unknown) => `${JSON.stringify(value)}\n`
const opening = line({ stream: 's', seq: 0 })

test('garbage in an event stream breaks the stream and reaches nobody', async (t) => {
  const garbage = [
    line(null),
    line(5),
    line({ seq: 1 }),
    line({ seq: 1, event: null }),
    line({ seq: 1, event: { name: 5, atMs: 1, data: {} } }),
    line({ seq: 1, event: { name: 'vm.state', atMs: 1 } }),
    line({ seq: 1, event: { name: 'x'.repeat(1_000), atMs: 1, data: {} } }),
    line({ seq: 'x', event: { name: 'vm.state', atMs: 1, data: {} } }),
    line({ stream: '../ HTTP/1.1\r\nx: y', seq: 1 }),
    'no json\n',
    `{"seq":1,"event":{"name":"vm.state","atMs":1,"data":{"x":"${'x'.repeat(2_000_000)}"}}}\n`,
  ]
  for (const bad of garbage) {
    const client = await clientOf(t, [opening + bad])
    const heard: AgentEvent[] = []
    const downs: unknown[] = []
    const follower = client.events(
      (event) => heard.push(event),
      undefined,
      (error) => downs.push(error),
    )
    await waitFor('the stream to be given up', () => downs.length > 0)
    await follower.dispose()
    assert.deepEqual(heard, [], bad.slice(0, 80))
    assert.ok(downs[0] instanceof CloudError, String(downs[0]))
  }
})

test('a failure told in a wrong form, too long or too deep is still a failure, of bounded size', async (t) => {
  let deep: object = { code: 'SYS.1006', details: 'deep' }
  for (let i = 0; i < 200; i += 1) deep = { code: 'SYS.1006', details: 'deep', cause: deep }
  const long = {
    code: 'a b',
    description: 7,
    details: 'x'.repeat(1_000_000),
    opaque: { y: 'y'.repeat(100_000) },
  }
  for (const error of [null, 5, 'x', [], {}, { details: {} }, long, deep]) {
    const client = await clientOf(t, [line({ error })])
    const thrown: unknown = await client.call(testCalls.echo, { word: 'a' }).catch((e: unknown) => e)
    assert.ok(thrown instanceof CloudError, String(thrown))
    assert.match(thrown.code, /^SYS\.\d+$/)
    assert.ok(thrown.details.length < 10_000 && thrown.details.length > 0)
    assert.equal(thrown.opaque, undefined)
    let depth = 0
    for (let e: unknown = thrown; e instanceof Error; e = e.cause) depth += 1
    assert.ok(depth < 25)
  }
})

test('progress that is no percentage is not passed on', async (t) => {
  const progress = [{ progress: 'x' }, { progress: 1e9 }, { progress: -1 }, { progress: 50 }]
  const client = await clientOf(t, [progress.map(line).join('') + line({ output: { words: ['a'] } })])
  const heard: number[] = []
  const onProgress = (percent: number) => heard.push(percent)
  assert.deepEqual(await client.call(testCalls.echo, { word: 'a' }, { onProgress }), { words: ['a'] })
  assert.deepEqual(heard, [50])
})

test('outputs out of their declared bounds are refused', async (t) => {
  for (const words of [['x'.repeat(100_000)], Array(200_000).fill('x'), { 0: 'x' }]) {
    const client = await clientOf(t, [line({ output: { words } })])
    await assert.rejects(client.call(testCalls.echo, { word: 'a' }), { code: 'SYS.1000', details: /words/ })
  }
})
