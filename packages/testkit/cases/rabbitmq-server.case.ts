import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import test from 'node:test'
import { waitFor } from '#kernel'
import { type Rabbitmq, startRabbitmq } from '../rabbitmq-server.ts'

// Brokers take their time on a busy machine.
const patience = { timeoutMs: 60_000 }

type Endpoint = Rabbitmq['endpoints'][number]

/** What a server that speaks the protocol answers to a greeting: the first frame of a connection. */
function greet({ host, port }: Endpoint): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 })
    const end = (answer: string) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('connect', () => socket.write('AMQP\0\0\x09\x01'))
    socket.on('data', (data) => end(data.includes('RabbitMQ') ? 'serves' : 'speaks something else'))
    socket.on('timeout', () => end('silent'))
    socket.on('error', () => end('refused'))
  })
}

test('one broker starts, can be killed, frozen and started again, and leaves nothing', async (t) => {
  const startedAt = performance.now()
  const broker = await startRabbitmq({ nodes: 1 })
  t.after(() => broker.dispose())
  t.diagnostic(`ready after ${Math.round(performance.now() - startedAt)} ms`)
  const [endpoint] = broker.endpoints as [Endpoint]
  // A busy machine stops and resumes the threads of a broker one by one, and not at once.
  const answers = (what: string) =>
    waitFor(`it is ${what}`, async () => (await greet(endpoint)) === what, patience)
  await answers('serves')
  broker.freeze(0)
  await answers('silent')
  broker.thaw(0)
  await answers('serves')
  await broker.kill(0)
  assert.equal(await greet(endpoint), 'refused')
  await broker.start(0)
  await answers('serves')
  await broker.dispose()
  assert.equal(await greet(endpoint), 'refused')
  assert.ok(!existsSync(`/dev/shm/zstack-rabbitmq-0-${process.pid}`), 'its directory is gone')
})

test('three brokers are one cluster', async (t) => {
  const startedAt = performance.now()
  const cluster = await startRabbitmq({ nodes: 3 })
  t.after(() => cluster.dispose())
  t.diagnostic(`ready after ${Math.round(performance.now() - startedAt)} ms`)
  for (const endpoint of cluster.endpoints)
    await waitFor('each serves', async () => (await greet(endpoint)) === 'serves', patience)
  // One alone is a minority and stops to serve: they know of each other.
  await Promise.all([cluster.kill(0), cluster.kill(1)])
  const last = cluster.endpoints[2] as Endpoint
  await waitFor('the last one stops serving', async () => (await greet(last)) === 'refused', patience)
  await Promise.all([cluster.start(0), cluster.start(1)])
  await waitFor('the last one serves again', async () => (await greet(last)) === 'serves', patience)
})

test('brokers end with a process that is killed', async (t) => {
  const program = `import { startRabbitmq } from '${new URL('../rabbitmq-server.ts', import.meta.url)}'
    const { endpoints } = await startRabbitmq({ nodes: 1 })
    console.log(JSON.stringify(endpoints[0]))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => {
    child.kill('SIGKILL')
    // A killed process cannot remove its files.
    rmSync(`/dev/shm/zstack-rabbitmq-0-${child.pid}`, { recursive: true, force: true })
  })
  const [line] = await once(child.stdout, 'data')
  const endpoint = JSON.parse(String(line)) as Endpoint
  assert.equal(await greet(endpoint), 'serves')
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
  await waitFor('the broker is gone', async () => (await greet(endpoint)) === 'refused')
})
