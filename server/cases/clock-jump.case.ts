import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createClient } from '#client'
import type { Api } from '#contract'
import { waitFor } from '#kernel'
import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { queryHost } from '#plugins/host/contract/apis.ts'
import { createVmInstance, queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance, expungeVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { createDataVolume, queryVolume } from '#plugins/volume/contract/apis.ts'
import { deleteDataVolume } from '#plugins/volume/contract/deletion-apis.ts'
import { buildDataCenter, inventoryOf, tempDir, testDialect } from '#testkit'

const HOUR_MS = 3600_000
const HALF_AN_HOUR = 1800
const root = join(import.meta.dirname, '../..')

/** A management process whose clock can be set while it works. */
async function startManagement(t: TestContext, dataDir: string) {
  const preload = join(root, 'packages/testkit/shifted-clock.ts')
  const flags = ['--data-dir', dataDir, '--api', '127.0.0.1:0']
  const argv = ['--import', preload, join(root, 'server/main.ts'), ...flags]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  t.after(async () => {
    if (child.exitCode === null) child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const log: Record<string, unknown>[] = []
  readLog(child, log)
  await waitFor('the node to be ready', () => log.some(({ msg }) => String(msg).includes('is ready')), {
    timeoutMs: 20_000,
  })
  const port = log.find(({ msg }) => msg === 'the API listens')?.port
  const client = createClient({ baseUrl: `http://127.0.0.1:${port}` })
  await client.logIn('admin', 'password')
  return {
    log,
    call: <A extends Api>(api: A, input: never) => client.call(api, input),
    query: async (api: Api) => (await client.query<Record<string, unknown>>(api, [])).inventories,
    setClock: async (shiftMs: number) => {
      child.send({ shiftMs })
      await once(child, 'message')
    },
    stop: async () => {
      child.kill('SIGTERM')
      assert.deepEqual(await once(child, 'exit'), [0, null])
    },
  }
}

function readLog(child: ChildProcess, log: Record<string, unknown>[]): void {
  let rest = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) log.push(JSON.parse(line) as Record<string, unknown>)
  })
}

const settings = [
  ['identity', 'session.timeout', HALF_AN_HOUR],
  ['rest', 'completedApi.expiredPeriod', HALF_AN_HOUR],
  ['rest', 'scanExpiredApi.interval', 1],
  ['vm', 'expungePeriod', HALF_AN_HOUR],
  ['vm', 'expungeInterval', 1],
  ['volume', 'expungePeriod', HALF_AN_HOUR],
  ['volume', 'expungeInterval', 1],
  ['host', 'ping.interval', 1],
] as const

test('a clock that jumps an hour ends nothing early, hangs nothing, and expunges nothing twice', async (t) => {
  if (testDialect !== 'sqlite') return t.skip('the database plays no part in it')
  const dataDir = tempDir(t)
  const first = await startManagement(t, dataDir)
  const set = (on: typeof first, [category, name, value]: readonly [string, string, number]) =>
    on.call(updateGlobalConfig, { category, name, value: String(value) } as never)
  for (const setting of settings) await set(first, setting)
  // A look that is waited for already keeps its time.
  await first.stop()
  const node = await startManagement(t, dataDir)
  const dc = await buildDataCenter(node as never, { hosts: 2 })
  const create = async (name: string) => {
    const parts = { imageUuid: dc.image, l3NetworkUuids: [dc.l3], instanceOfferingUuid: dc.instanceOffering }
    return inventoryOf(await node.call(createVmInstance, { name, ...parts } as never))
  }
  const destroyed = await create('destroyed before the jumps')
  await node.call(destroyVmInstance, { uuid: destroyed.uuid } as never)
  const disk = { name: 'deleted', diskOfferingUuid: dc.diskOffering, primaryStorageUuid: dc.primaryStorage }
  const volume = inventoryOf(await node.call(createDataVolume, disk as never))
  await node.call(deleteDataVolume, { uuid: volume.uuid } as never)

  const stateOf = async (uuid: string) =>
    (await node.query(queryVmInstance)).find((vm) => vm.uuid === uuid)?.state
  for (const shiftMs of [HOUR_MS, 0, -HOUR_MS, 0, HOUR_MS]) {
    // Work is under way while the clock jumps.
    const [vm] = await Promise.all([create(`at ${shiftMs}`), node.setClock(shiftMs)])
    const next = await create(`after ${shiftMs}`)
    const off = Math.abs(Date.parse(next.createDate) - (Date.now() + shiftMs))
    assert.ok(Number.isNaN(off) || off < 60_000, `made at ${next.createDate}`)
    assert.equal(await stateOf(vm.uuid), 'Running')
    for (const { uuid } of [vm, next]) {
      await node.call(destroyVmInstance, { uuid } as never)
      await node.call(expungeVmInstance, { uuid } as never)
    }
    const seen = node.log.length
    const since = performance.now()
    await waitFor(
      'two rounds of what looks for things that are over',
      () => performance.now() - since > 2_200,
    )
    assert.equal(await stateOf(destroyed.uuid), 'Destroyed', `expunged early at ${shiftMs} ms`)
    assert.deepEqual((await node.query(queryVolume)).filter(({ status }) => status === 'Deleted').length, 1)
    for (const host of await node.query(queryHost)) assert.equal(host.status, 'Connected')
    const odd = node.log.slice(seen).filter(({ level }) => Number(level) >= 40)
    assert.deepEqual(odd, [])
  }
  await set(node, ['vm', 'expungePeriod', 1])
  await set(node, ['volume', 'expungePeriod', 1])
  const isEmpty = async () =>
    (await node.query(queryVmInstance)).length + (await node.query(queryVolume)).length === 0
  await waitFor('what was deleted to be expunged', isEmpty, { timeoutMs: 10_000 })
  assert.deepEqual(
    node.log.filter(({ msg }) => /could not be expunged/.test(String(msg))),
    [],
  )
  await node.stop()
})
