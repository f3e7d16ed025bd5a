import assert from 'node:assert/strict'
import { test } from 'node:test'
import { remove } from '#db'
import { newUuid, silentLogger } from '#kernel'
import { createCloud, definePlugin } from '#plugin-host'
import { managementNode } from '#plugins/management-node/contract/resources.ts'
import { createSimulatorPlugin } from '#plugins/simulator/plugin.ts'
import { allPlugins } from '#server/plugins.ts'
import { createTestCloud, openTestDatabase, tempDir, testDialect } from '#testkit'
import { serveCloud } from './serve-cloud.ts'

async function readyz(url: string) {
  const response = await fetch(`${url}/readyz`)
  const { ready, checks } = (await response.json()) as { ready: boolean; checks: Record<string, string> }
  return { status: response.status, ready, checks }
}

const allWell = { status: 200, ready: true, checks: { node: 'ok', database: 'ok', membership: 'ok' } }

test('a node that serves is ready; one that stops says so', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const url = await serveCloud(t, cloud)
  assert.deepEqual(await readyz(url), allWell)
  await cloud.cloud.stop()
  const stopped = await readyz(url)
  assert.deepEqual([stopped.status, stopped.ready], [503, false])
  assert.equal(stopped.checks.node, 'the management node is stopping')
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
  await cloud.restart()
})

test('a node that still recovers is alive, not ready', async (t) => {
  const dataDir = tempDir(t)
  const goOn = Promise.withResolvers<void>()
  const slow = definePlugin({ name: 'slow', setup: (ctx) => ctx.onReady(() => goOn.promise) })
  const node = { uuid: newUuid(), address: '127.0.0.1', dataDir, version: 'test' }
  const plugins = [...allPlugins(createSimulatorPlugin()), slow]
  const cloud = await createCloud({ plugins, db: await openTestDatabase(dataDir), node, log: silentLogger })
  t.after(() => cloud.stop())
  const url = await serveCloud(t, { cloud })
  const started = cloud.start()
  const { status, checks } = await readyz(url)
  assert.deepEqual([status, checks.node], [503, 'the management node is starting; try again in a moment'])
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
  goOn.resolve()
  await started
  assert.deepEqual(await readyz(url), allWell)
})

test('a database that takes no writes is a reason', async (t) => {
  if (testDialect !== 'sqlite') return t.skip('the way to make it read-only is SQLite’s')
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const url = await serveCloud(t, cloud)
  const { db } = cloud.cloud.context
  await db.execute('PRAGMA query_only = ON')
  const { status, checks } = await readyz(url)
  assert.deepEqual([status, checks.node, checks.membership], [503, 'ok', 'ok'])
  assert.match(checks.database ?? '', /readonly|read-only/)
  await db.execute('PRAGMA query_only = OFF')
  assert.deepEqual(await readyz(url), allWell)
})

test('a database that does not answer is a reason, told in time', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const url = await serveCloud(t, cloud)
  const gate = Promise.withResolvers<void>()
  const blocking = cloud.cloud.context.db.write(() => gate.promise)
  const both = await Promise.all([readyz(url), readyz(url)])
  for (const { status, checks } of both) {
    assert.equal(status, 503)
    assert.equal(checks.database, 'no answer within 2000 ms')
  }
  gate.resolve()
  await blocking
  assert.deepEqual(await readyz(url), allWell)
})

test('a node that the others took for dead is not ready', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const url = await serveCloud(t, cloud)
  await cloud.cloud.context.db.write((tx) => remove(tx, managementNode, { uuid: cloud.nodeUuid }))
  const { status, checks } = await readyz(url)
  assert.equal(status, 503)
  assert.match(checks.membership ?? '', /not among the management nodes/)
})
