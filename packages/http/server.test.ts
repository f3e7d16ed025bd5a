import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { silentLogger, waitFor } from '#kernel'
import { createHttpServer } from './server.ts'
import { send } from './testing/send.ts'
import { goodSession, startThingCloud } from './testing/thing-cloud.ts'

test('health and readiness', async () => {
  const cloud = await startThingCloud()
  try {
    const alive = await send(cloud, 'GET', '/healthz')
    assert.deepEqual([alive.status, alive.json().alive], [200, true])
    const ready = await send(cloud, 'GET', '/readyz')
    assert.deepEqual([ready.status, ready.json()], [200, { ready: true, checks: { node: 'ok' } }])
    cloud.isReady = false
    assert.equal((await send(cloud, 'GET', '/healthz')).status, 200)
    const notReady = await send(cloud, 'GET', '/readyz')
    assert.deepEqual([notReady.status, notReady.json()], [503, { ready: false, checks: { node: 'not yet' } }])
    assert.equal(
      (await send(cloud, 'GET', '/zstack/v1/management-nodes/ready')).json().error.code,
      'SYS.1010',
    )
  } finally {
    await cloud.dispose()
  }
})

test('beyond the bound calls are refused with 503 and Retry-After; health is told all the same', async () => {
  const cloud = await startThingCloud({ maxInFlight: 0 })
  try {
    const refused = await send(cloud, 'GET', '/zstack/v1/things')
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1'])
    assert.deepEqual(Object.keys(refused.json()), ['error'])
    const body = { 'org.zstack.thing.APIQueryThingMsg': { conditions: [], session: { uuid: goodSession } } }
    const legacyRefused = await send(cloud, 'POST', '/zstack/api', { body })
    assert.deepEqual([legacyRefused.status, legacyRefused.headers.get('retry-after')], [503, '1'])
    assert.equal((await send(cloud, 'GET', '/healthz')).status, 200)
  } finally {
    await cloud.dispose()
  }
})

test('a job too many is refused with 503 and Retry-After; polling and queries go on', async () => {
  const cloud = await startThingCloud()
  try {
    await cloud.cloud.context.config.set('apiJob', 'maxUnfinished', 2)
    const wait = () => send(cloud, 'POST', '/zstack/v1/things/waits')
    const jobs = await Promise.all([wait(), wait()])
    assert.deepEqual(
      jobs.map((job) => job.status),
      [202, 202],
    )
    const refused = await wait()
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1'])
    assert.deepEqual(refused.json().error.opaque, { limit: 'apiJob.maxUnfinished', unfinished: 2 })
    const body = { 'org.zstack.thing.APIWaitThingMsg': { session: { uuid: goodSession } } }
    const legacyRefused = await send(cloud, 'POST', '/zstack/api', { body })
    assert.match(legacyRefused.json().result, /"success":false.*LOAD\.1001.*"retryAfterSeconds":1/)
    assert.equal((await send(cloud, 'GET', '/zstack/v1/things')).status, 200)
    assert.equal((await send(cloud, 'GET', new URL(jobs[0]?.json().location).pathname)).status, 202)
    cloud.release()
    await waitFor('room', async () => (await wait()).status === 202)
  } finally {
    await cloud.dispose()
  }
})

test('the contract is served as JSON and not again to whoever has it', async () => {
  const cloud = await startThingCloud()
  try {
    const answer = await send(cloud, 'GET', '/zstack/v1/contract', { session: undefined })
    const contract = answer.json()
    assert.equal(contract.version, '1.0.0')
    const create = contract.apis.find((api: { name: string }) => api.name === 'CreateThing')
    assert.deepEqual(create.rest.path, '/things')
    const params = new Map(create.params.map((p: { name: string }) => [p.name, p]))
    assert.deepEqual(params.get('name'), {
      name: 'name',
      type: 'string',
      required: true,
      description: 'Name.',
      max: 255,
    })
    assert.deepEqual((params.get('type') as { validValues: string[] }).validValues, ['Small', 'Big'])
    assert.deepEqual(create.result, [{ name: 'inventory', type: 'ThingInventory' }])
    const big = contract.inventories.find((i: { name: string }) => i.name === 'BigThingInventory')
    const types = Object.fromEntries(big.fields.map((f: { name: string; type: string }) => [f.name, f.type]))
    assert.deepEqual(types, {
      uuid: 'string',
      name: 'string',
      description: 'string',
      type: 'string',
      size: 'long',
      createDate: 'timestamp',
      parts: 'list<PartInventory>',
      weight: 'int',
    })
    const etag = answer.headers.get('etag') ?? ''
    const again = await send(cloud, 'GET', '/zstack/v1/contract', { headers: { 'if-none-match': etag } })
    assert.deepEqual([again.status, again.text], [304, ''])
  } finally {
    await cloud.dispose()
  }
})

test('a server without doors serves its own routes and upgrades, and nothing else', async () => {
  const server = createHttpServer({
    log: silentLogger,
    staticRoutes: [
      { method: 'GET', path: '/', handler: (_request, response) => void response.end('start page') },
      { method: 'GET', path: '/assets/*', handler: (request, response) => void response.end(request.url) },
      {
        method: 'GET',
        path: '/broken',
        handler: () => {
          throw new Error('secret details')
        },
      },
    ],
    upgradeRoutes: [
      {
        path: '/echo',
        handler: (_request, socket, head) => {
          socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n')
          socket.write(head)
          socket.pipe(socket)
        },
      },
    ],
  })
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' })
  try {
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      return [response.status, await response.text()]
    }
    assert.deepEqual(await get('/'), [200, 'start page'])
    assert.deepEqual(await get('/assets/a/b.js?v=1'), [200, '/assets/a/b.js?v=1'])
    assert.equal((await get('/zstack/v1/zones'))[0], 404)
    const [status, text] = await get('/broken')
    assert.deepEqual([status, String(text).includes('secret')], [500, false])
    assert.match(await upgrade(port, '/echo'), /^HTTP\/1.1 101 .*ping$/s)
    assert.match(await upgrade(port, '/other'), /^HTTP\/1.1 404 /)
  } finally {
    await server.dispose()
  }
})

/** What comes back on a raw connection that asks for an upgrade and says ping. */
async function upgrade(port: number, path: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk
  })
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nping`)
  await waitFor('an answer', () => received.endsWith('ping') || received.includes('404'))
  socket.destroy()
  return received
}

test('listens on a socket it inherits', async () => {
  const holder = createServer()
  holder.listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as { port: number }
  const program = `
    import { createHttpServer } from ${JSON.stringify(new URL('./server.ts', import.meta.url).href)}
    import { silentLogger } from '#kernel'
    const server = createHttpServer({ log: silentLogger })
    console.log((await server.listen({ fd: 3 })).port)
  `
  const { fd } = (holder as unknown as { _handle: { fd: number } })._handle
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    cwd: new URL('../..', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit', fd],
  })
  const exited = once(child, 'exit')
  try {
    assert.ok(child.stdout)
    const [line] = await once(child.stdout, 'data')
    assert.equal(Number(line), port)
    holder.close()
    assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200)
  } finally {
    child.kill()
    await exited
    holder.close()
  }
})

test('a port in use is told', async () => {
  const first = createHttpServer({ log: silentLogger })
  const { port } = await first.listen({ port: 0, host: '127.0.0.1' })
  const second = createHttpServer({ log: silentLogger })
  try {
    await assert.rejects(second.listen({ port, host: '127.0.0.1' }), /EADDRINUSE/)
  } finally {
    await second.dispose()
    await first.dispose()
  }
})
