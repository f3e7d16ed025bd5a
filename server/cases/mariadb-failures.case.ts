import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createConnection } from 'mysql2/promise'
import { type Endpoint, openMariadb } from '#db'
import { newUuid, waitFor } from '#kernel'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { createZone, queryZone } from '#plugins/zone/contract/apis.ts'
import { audit, buildDataCenter, createTestCloud, withoutMariadb as skip, tempDir } from '#testkit'

interface Door extends Endpoint {
  /** How long everything a client sends takes to arrive. */
  delayMs: number
  close(): void
}

/** Stands before a server and can be slow. */
async function slowDoor(to: Endpoint): Promise<Door> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(to.port, to.host)
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one)
      // The other end is told by the end of its connection.
      one.on('error', () => undefined)
      one.on('close', () => other.destroy())
    }
    upstream.pipe(client)
    client.on('data', (data) => setTimeout(() => upstream.write(data), door.delayMs))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  const { port } = server.address() as { port: number }
  const door = { host: '127.0.0.1', port, delayMs: 0, close }
  return door
}

/** A cloud whose database is reached through a door, by a user who may not write to a read-only server. */
async function cloudBehindDoor(t: TestContext) {
  const dir = tempDir(t)
  // Known once the first database was opened.
  const server = () => {
    const [host = '', port] = (process.env.ZSTACK_TEST_MARIADB ?? '').split(':')
    return { host, port: Number(port) }
  }
  const warmUp = await createTestCloud({ data: { dir, nodeUuid: newUuid() } })
  await warmUp.dispose()
  const database = readFileSync(join(dir, 'mariadb-database'), 'utf8')
  const admin = await createConnection({ ...server(), user: 'root' })
  t.after(() => admin.end())
  await admin.query(`CREATE USER IF NOT EXISTS app@'%'`)
  await admin.query(`GRANT ALL ON ${database}.* TO app@'%'`)
  const door = await slowDoor(server())
  const cloud = await createTestCloud({
    data: { dir, nodeUuid: newUuid() },
    wrap: (db) => {
      void db.close()
      return openMariadb({ endpoints: [door], user: 'app', password: '', database, poolSize: 4 })
    },
  })
  t.after(async () => {
    await cloud.dispose()
    door.close()
  })
  return { cloud, door, admin }
}

test('a database that takes 200 ms for every answer makes calls slow, and fails none', {
  skip,
}, async (t) => {
  const { cloud, door } = await cloudBehindDoor(t)
  const { hosts, ...dc } = await buildDataCenter(cloud, { hosts: 2 })
  door.delayMs = 200
  const startedAt = performance.now()
  const vm = {
    instanceOfferingUuid: dc.instanceOffering,
    imageUuid: dc.image,
    l3NetworkUuids: [dc.l3],
  }
  const creation = cloud.call(createVmInstance, { name: 'slow', strategy: 'CreateStopped', ...vm })
  const zones = Array.from({ length: 10 }, (_, i) => cloud.call(createZone, { name: `zone-${i}` }))
  await Promise.all(zones)
  const zonesMs = performance.now() - startedAt
  assert.equal((await creation).inventory.state, 'Stopped')
  const vmMs = performance.now() - startedAt
  t.diagnostic(`ten zones: ${zonesMs.toFixed(0)} ms, a VM: ${vmMs.toFixed(0)} ms`)
  door.delayMs = 0
  assert.equal((await cloud.query(queryZone)).length, 11)
  assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
})

test('a read-only database refuses changes by name and answers queries; nothing is half done, and all goes on afterwards', {
  skip,
}, async (t) => {
  const { cloud, admin } = await cloudBehindDoor(t)
  const { hosts, ...dc } = await buildDataCenter(cloud, { hosts: 1 })
  const vm = {
    name: 'vm',
    instanceOfferingUuid: dc.instanceOffering,
    imageUuid: dc.image,
    l3NetworkUuids: [dc.l3],
  }
  await admin.query('SET GLOBAL read_only = 1')
  try {
    const named = { code: 'SYS.1016', details: /the database .*--read-only option.*Nothing was changed/ }
    await assert.rejects(cloud.call(createZone, { name: 'never' }), named)
    await assert.rejects(cloud.call(createVmInstance, vm), named)
    assert.equal((await cloud.query(queryZone)).length, 1)
  } finally {
    await admin.query('SET GLOBAL read_only = 0')
  }
  await cloud.call(createZone, { name: 'later' })
  await cloud.call(createVmInstance, vm)
  const { db, workflows } = cloud.cloud.context
  await waitFor('nothing is left', async () => (await workflows.unfinished()).length === 0)
  assert.deepEqual(await audit(db, cloud.world), [])
  assert.deepEqual(
    (await cloud.query(queryZone))
      .map(({ name }) => name)
      .filter((name) => name === 'never' || name === 'later'),
    ['later'],
  )
})
