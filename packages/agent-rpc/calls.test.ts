import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { type CloudError, newUuid, silentLogger } from '#kernel'
import { defineAgentCall } from './call.ts'
import { signalled, startTestAgent, testAuthority, testCalls } from './test-agent.ts'

const done = { state: 'done', first: true } as const
const echo = async ({ word }: { word: string }) => ({ words: [word] })

test('a call carries input, output, ids, progress and errors with their causes', async (t) => {
  const seen: unknown[] = []
  const agent = await startTestAgent(t, {
    handlers: {
      echo: async ({ word, times }) => ({ words: Array<string>(times ?? 1).fill(word) }),
      hold: async (_input, context) => {
        seen.push(context.callId, context.taskId)
        for (const percent of [0.4, 0.6, 50, 100]) context.progress(percent)
        return done
      },
    },
  })
  const client = agent.client()
  assert.deepEqual(await client.call(testCalls.echo, { word: 'ü', times: 2 }), { words: ['ü', 'ü'] })
  const progress: number[] = []
  const options = { callId: 'c1', taskId: 't1', onProgress: (n: number) => progress.push(n) }
  assert.deepEqual(await client.call(testCalls.hold, {}, options), done)
  assert.deepEqual({ seen, progress }, { seen: ['c1', 't1'], progress: [0, 50, 100] })
  const hello = await client.hello()
  assert.deepEqual([hello.uuid, hello.pid, hello.bundleHash], [agent.uuid, process.pid, 'a'.repeat(64)])
})

test('bad input, unknown commands and answers that break the contract are refused by name', async (t) => {
  const agent = await startTestAgent(t, {
    handlers: { echo, hold: async () => ({ state: 'sideways', first: true }) as never },
  })
  const client = agent.client()
  const tooLong = client.call(testCalls.echo, { word: 'x'.repeat(21) })
  await assert.rejects(tooLong, { code: 'SYS.1007', details: /field\[word\] of test\.echo is 21 characters/ })
  const unknown = defineAgentCall({ name: 'test.other', summary: 'Not there.', input: {}, output: {} })
  await assert.rejects(client.call(unknown, {}), { code: 'SYS.1008', details: /test\.other/ })
  await assert.rejects(client.call(testCalls.hold, {}), {
    code: 'SYS.1000',
    details: /test\.hold.*state must be one of/,
  })
  const huge = client.call(testCalls.echo, { word: 'x'.repeat(17 * 1024 * 1024) })
  await assert.rejects(huge, (error: CloudError) => ['SYS.1007', 'SYS.1016'].includes(error.code))
})

test('a repeated call id joins the running call, and gets the remembered answer afterwards', async (t) => {
  const release = signalled()
  const begun = signalled()
  let runs = 0
  const agent = await startTestAgent(t, {
    handlers: {
      echo,
      hold: async () => {
        runs += 1
        begun.resolve()
        await release.promise
        return done
      },
    },
  })
  const callId = newUuid()
  const first = agent.client().call(testCalls.hold, {}, { callId })
  await begun.promise
  const joined = agent.client().call(testCalls.hold, {}, { callId })
  await agent.client().call(testCalls.echo, { word: 'others go on' })
  release.resolve()
  assert.deepEqual(await Promise.all([first, joined]), [done, done])
  assert.deepEqual(await agent.client().call(testCalls.hold, {}, { callId }), done)
  assert.equal(runs, 1)
  await agent.client().call(testCalls.hold, {})
  assert.equal(runs, 2)
})

test('errors are remembered too; the memory forgets the oldest beyond its size', async (t) => {
  let runs = 0
  const agent = await startTestAgent(t, {
    memory: { keep: 2 },
    handlers: {
      echo,
      hold: async () => {
        runs += 1
        throw new Error(`failure ${runs}`)
      },
    },
  })
  const client = agent.client()
  const fail = (callId: string, details: string) =>
    assert.rejects(client.call(testCalls.hold, {}, { callId }), { code: 'SYS.1000', details })
  await fail('a', 'failure 1')
  await fail('a', 'failure 1')
  await fail('b', 'failure 2')
  await fail('c', 'failure 3')
  await fail('b', 'failure 2')
  await fail('a', 'failure 4')
})

test('a caller that goes away aborts the call; a repeat of its id runs anew', async (t) => {
  const begun = signalled()
  const aborted = signalled<string>()
  let runs = 0
  const agent = await startTestAgent(t, {
    handlers: {
      echo,
      hold: (_input, { signal }) => {
        runs += 1
        if (runs > 1) return Promise.resolve(done)
        begun.resolve()
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted.resolve('aborted')
            reject(new Error('stopped half way'))
          })
        })
      },
    },
  })
  const controller = new AbortController()
  const callId = newUuid()
  const call = agent.client().call(testCalls.hold, {}, { callId, signal: controller.signal })
  await begun.promise
  controller.abort()
  await assert.rejects(call, { code: 'SYS.1017', details: /test\.hold was cancelled/ })
  assert.equal(await aborted.promise, 'aborted')
  assert.deepEqual(await agent.client().call(testCalls.hold, {}, { callId }), done)
})

test('silence ends in a timeout that names the agent, the call and the limit', async (t) => {
  const agent = await startTestAgent(t, {
    handlers: {
      echo,
      hold: (_i, { signal }) => new Promise((_r, no) => signal.addEventListener('abort', no)),
    },
  })
  const call = agent.client().call(testCalls.hold, {}, { timeoutMs: 50 })
  const details = `the agent at 127.0.0.1:${agent.port} did not answer test.hold within 50 ms`
  await assert.rejects(call, { code: 'SYS.1001', details })
})

test('nobody there, and an address that swallows everything, are told apart', async (t) => {
  const agent = await startTestAgent(t)
  await agent.server.close()
  const refused = agent.client().call(testCalls.echo, { word: 'a' })
  await assert.rejects(refused, {
    code: 'SYS.1016',
    details: /no agent listens at 127\.0\.0\.1:\d+ .*test\.echo/,
  })
  // A listener that never answers the TLS greeting.
  const silent = (await import('node:net')).createServer(() => undefined)
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.after(() => silent.close())
  const port = (silent.address() as { port: number }).port
  const call = agent.client({ port, connectTimeoutMs: 50 }).call(testCalls.echo, { word: 'a' })
  await assert.rejects(call, {
    code: 'SYS.1001',
    details: /cannot reach the agent at .*no connection within 50 ms/,
  })
})

/** A TLS server with a good certificate that answers each connection as `answer` says. */
async function startRawAgent(
  t: Parameters<typeof startTestAgent>[0],
  answers: readonly (string | undefined)[],
) {
  const { authority } = await testAuthority(t)
  const uuid = newUuid()
  const tls = await authority.issueAgent({ uuid, role: 'test', addresses: ['127.0.0.1'] })
  let connections = 0
  const server = createTlsServer({ ...tls, minVersion: 'TLSv1.3' }, (socket) => {
    const answer = answers[connections]
    connections += 1
    socket.once('data', () => (answer === undefined ? socket.destroy() : socket.end(answer)))
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const port = (server.address() as { port: number }).port
  const { createAgentClient } = await import('./client.ts')
  const management = await authority.issueManagement()
  const client = createAgentClient({
    address: '127.0.0.1',
    port,
    uuid,
    tls: management,
    logger: silentLogger,
  })
  t.after(() => client.close())
  return { client, connections: () => connections }
}

const HEAD = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

test('an answer cut off in the middle is an error, not a result, and is not sent again', async (t) => {
  const { client, connections } = await startRawAgent(t, [`${HEAD}d\r\n{"progress":5\r\n`])
  await assert.rejects(client.call(testCalls.echo, { word: 'a' }), {
    code: 'SYS.1016',
    details: /127\.0\.0\.1/,
  })
  assert.equal(connections(), 1)
})

test('an answer that ends properly but without its last line is an error', async (t) => {
  const { client } = await startRawAgent(t, [`${HEAD}f\r\n{"progress":50}\r\n1\r\n\n\r\n0\r\n\r\n`])
  await assert.rejects(client.call(testCalls.echo, { word: 'a' }), {
    code: 'SYS.1016',
    details: /broke off its answer/,
  })
})

test('a connection closed before any answer is tried once more, and only once', async (t) => {
  const output = '{"output":{"words":["late"]}}\n'
  const whole = `HTTP/1.1 200 OK\r\nContent-Length: ${output.length}\r\n\r\n${output}`
  const lucky = await startRawAgent(t, [undefined, whole])
  assert.deepEqual(await lucky.client.call(testCalls.echo, { word: 'a' }), { words: ['late'] })
  const unlucky = await startRawAgent(t, [undefined, undefined, whole])
  await assert.rejects(unlucky.client.call(testCalls.echo, { word: 'a' }), {
    code: 'SYS.1016',
    details: /closed the connection before it answered test\.echo/,
  })
})

test('closing the server tells running calls to stop and waits for them', async (t) => {
  const begun = signalled()
  let ended = false
  const agent = await startTestAgent(t, {
    handlers: {
      echo,
      hold: async (_input, { signal }) => {
        begun.resolve()
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        ended = true
        return { state: 'stopped', first: false }
      },
    },
  })
  const call = agent
    .client()
    .call(testCalls.hold, {})
    .catch((error: CloudError) => error.code)
  await begun.promise
  await agent.server.close()
  assert.equal(ended, true)
  await call
})
