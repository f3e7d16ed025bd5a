import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConnectionOptions, connect } from 'node:tls'
import { newUuid } from '#kernel'
import { startTestAgent, testAuthority, testCalls } from './test-agent.ts'

/** Sends one request over a connection made as `options` say, gives what came back before it closed. */
function rawExchange(options: ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', rejectUnauthorized: false, ...options })
    let heard = ''
    socket.on('data', (chunk) => {
      heard += chunk
    })
    // Depending on what arrives first a refused client sees an alert, a reset or just the end.
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(heard))
    socket.write('GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  })
}

test('nobody gets a byte without a certificate of our authority, and nothing below TLS 1.3 is spoken', async (t) => {
  const agent = await startTestAgent(t)
  const { port } = agent
  const foreign = await (await testAuthority(t)).authority.issueManagement()
  const own = await agent.authority.issueManagement()
  assert.match(await rawExchange({ port, ...own }), /^HTTP\/1\.1 200 /)
  assert.equal(await rawExchange({ port }), '')
  assert.equal(await rawExchange({ port, cert: foreign.cert, key: foreign.key }), '')
  assert.equal(await rawExchange({ port, ...own, maxVersion: 'TLSv1.2' }), '')
})

test('a client of a foreign authority trusts nobody here, and says what is wrong', async (t) => {
  const agent = await startTestAgent(t)
  const tls = await (await testAuthority(t)).authority.issueManagement()
  const call = agent.client({ tls }).call(testCalls.echo, { word: 'a' })
  await assert.rejects(call, {
    code: 'SYS.1016',
    details: /certificate of the agent at .* is not from our authority/,
  })
  const trusting = { ...tls, ca: agent.authority.certificate }
  const refused = agent.client({ tls: trusting }).call(testCalls.echo, { word: 'a' })
  await assert.rejects(refused, {
    code: 'SYS.1016',
    details: /refused our certificate|closed the connection/,
  })
})

test('an agent may not call commands, read events or say hello', async (t) => {
  const agent = await startTestAgent(t)
  const uuid = newUuid()
  const tls = await agent.authority.issueAgent({ uuid, role: 'kvm-host', addresses: ['127.0.0.1'] })
  const other = agent.client({ tls })
  const refused = { code: 'SYS.1006', details: new RegExp(`the agent ${uuid} may not use`) }
  await assert.rejects(other.call(testCalls.echo, { word: 'a' }), refused)
  await assert.rejects(other.hello(), refused)
  const down = await new Promise((resolve) => other.events(() => undefined, undefined, resolve))
  assert.match(String(down), /may not use \/events/)
})

test('the agent of another uuid is not talked to, nor the management posing as one', async (t) => {
  const agent = await startTestAgent(t)
  const meant = newUuid()
  const call = agent.client({ uuid: meant }).call(testCalls.echo, { word: 'a' })
  const details = new RegExp(
    `not the one meant for test\\.echo: it is the agent of ${agent.uuid}, not of ${meant}`,
  )
  await assert.rejects(call, { code: 'SYS.1016', details })
  const posing = await startTestAgent(t, {
    authority: agent.authority,
    tls: await agent.authority.issueManagement(),
  })
  await assert.rejects(posing.client().hello(), {
    code: 'SYS.1016',
    details: /for management, .*not for an agent/,
  })
})

test('without a uuid the certificate must carry the address dialled', async (t) => {
  const { authority } = await testAuthority(t)
  const uuid = newUuid()
  const elsewhere = await authority.issueAgent({ uuid, role: 'test', addresses: ['127.0.0.2'] })
  const agent = await startTestAgent(t, { authority, uuid, tls: elsewhere })
  const { uuid: _left, ...target } = { uuid, address: '127.0.0.1', port: agent.port }
  const { createAgentClient } = await import('./client.ts')
  const { silentLogger } = await import('#kernel')
  const client = createAgentClient({
    ...target,
    tls: await authority.issueManagement(),
    logger: silentLogger,
  })
  t.after(() => client.close())
  await assert.rejects(client.hello(), { code: 'SYS.1016', details: /not the one meant/ })
})

test('a resumed TLS session still knows who the peer is', async (t) => {
  const agent = await startTestAgent(t)
  const own = await agent.authority.issueManagement()
  const session = await new Promise<Buffer>((resolve) => {
    const socket = connect({
      host: '127.0.0.1',
      port: agent.port,
      ...own,
      checkServerIdentity: () => undefined,
    })
    socket.once('session', (ticket) => {
      resolve(ticket)
      socket.end()
    })
    socket.resume()
  })
  assert.match(await rawExchange({ port: agent.port, ...own, session }), /^HTTP\/1\.1 200 /)
})
