import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SimulatedHost } from '#agents/simulator/kvm-host.ts'
import { waitFor } from '#kernel'
import { reconnectHost } from '#plugins/host/contract/apis.ts'
import { audit, type DataCenter, simulatedHost, type TestCloud } from '#testkit'
import { queryVmInstance } from '../contract/create-apis.ts'
import { migrateVm } from '../contract/migration-apis.ts'
import { startVmInstance, stopVmInstance } from '../contract/power-apis.ts'
import { startCloudWithVm } from './vm-scene.ts'

/** The host is back after a power cut, is connected, and what it held up is done. */
async function bringBack(cloud: TestCloud, dc: DataCenter, index: number): Promise<void> {
  simulatedHost(cloud, index).knobs.start()
  await cloud.call(reconnectHost, { uuid: String(dc.hosts[index]) })
  const { workflows } = cloud.cloud.context
  await workflows.retryStuck()
  await waitFor('nothing is stuck', async () => (await workflows.unfinished()).length === 0, {
    intervalMs: 2,
  })
}

async function assertOff(cloud: TestCloud): Promise<void> {
  const isOff = async () => (await cloud.query(queryVmInstance))[0]?.state === 'Stopped'
  await waitFor('the VM is Stopped', isOff, { intervalMs: 2, timeoutMs: 3_000 })
  assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
}

/** Cuts the power of a host when a call stands at the gate. */
async function crashAt(
  host: SimulatedHost,
  call: Parameters<SimulatedHost['knobs']['hold']>[0],
): Promise<void> {
  const hold = host.knobs.hold(call)
  await hold.waiting
  host.knobs.crash()
  hold.release()
}

test('a guest whose host crashes while it is to be moved is off afterwards', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t, { hosts: 2 })
  const crashed = crashAt(host, 'migrateVm')
  await assert.rejects(cloud.call(migrateVm, { vmInstanceUuid: vm.uuid }))
  await crashed
  await bringBack(cloud, dc, 0)
  await assertOff(cloud)
})

test('a guest whose new host crashes while its move is being completed keeps its disks', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t, { hosts: 2 })
  const crashed = crashAt(simulatedHost(cloud, 1), 'cleanMigration')
  await assert.rejects(cloud.call(migrateVm, { vmInstanceUuid: vm.uuid }))
  await crashed
  await bringBack(cloud, dc, 1)
  await assertOff(cloud)
  await cloud.call(startVmInstance, { uuid: vm.uuid })
})

test('a guest whose host is cut from the power and back while it is being started is off', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  await cloud.call(stopVmInstance, { uuid: vm.uuid, type: 'cold' })
  const hold = host.knobs.hold('startVm', { after: true })
  const start = cloud.call(startVmInstance, { uuid: vm.uuid })
  await hold.waiting
  // As if it had crashed right after it answered, and was connected anew before the answer was read.
  const { vms, diskUsers, tapUsers, networks } = host.state
  for (const lost of [vms, diskUsers, tapUsers, networks]) lost.clear()
  host.state.usedMemoryBytes = 0
  await cloud.call(reconnectHost, { uuid: String(dc.hosts[0]) })
  hold.release()
  await start
  await assertOff(cloud)
})
