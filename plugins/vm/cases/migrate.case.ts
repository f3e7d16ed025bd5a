import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { changeHostState, queryHost, reconnectHost } from '#plugins/host/contract/apis.ts'
import { deleteImage, expungeImage } from '#plugins/image/contract/deletion-apis.ts'
import { queryVolume } from '#plugins/volume/contract/apis.ts'
import { assertRefused, audit, inventoryOf, simulatedHost, waitFor } from '#testkit'
import { queryVmInstance } from '../contract/create-apis.ts'
import { getVmMigrationCandidateHosts, migrateVm } from '../contract/migration-apis.ts'
import { stopVmInstance } from '../contract/power-apis.ts'
import { createVm, startCloudWithVm } from './vm-scene.ts'

const GiB = 2 ** 30

test('a VM moves to the host named, with its disks, address and capacity; nothing is left behind', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t, { hosts: 2 }, { dataDiskSizes: [GiB] })
  const target = simulatedHost(cloud, 1)
  const moved = inventoryOf(await cloud.call(migrateVm, { vmInstanceUuid: vm.uuid, hostUuid: dc.hosts[1] }))
  assert.deepEqual(
    [moved.state, moved.hostUuid, moved.vmNics[0].ip],
    ['Running', dc.hosts[1], vm.vmNics[0].ip],
  )
  assert.deepEqual([host.state.vms.size, target.state.vms.get(vm.uuid)?.state], [0, 'Running'])
  for (const { installPath } of await cloud.query(queryVolume)) {
    assert.equal(host.state.files.get(String(installPath)), undefined)
    assert.ok(target.state.files.get(String(installPath)))
  }
  const leases = [host, target].map((h) => h.state.networks.get(dc.l3)?.leases.size ?? 0)
  assert.deepEqual(leases, [0, 1])
  const byName = (await cloud.query(queryHost, { sortBy: 'name', sortDirection: 'asc' })) as {
    availableMemoryCapacity: number
    totalMemoryCapacity: number
  }[]
  const used = byName.map((h) => h.totalMemoryCapacity - h.availableMemoryCapacity)
  assert.deepEqual(used, [0, vm.memorySize])
})

test('a VM that arrives is served, also when its new host was put in order while it was on the way', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t, { hosts: 2 })
  const target = simulatedHost(cloud, 1)
  const leases = () => target.state.networks.get(dc.l3)?.leases.size ?? 0
  const hold = host.knobs.hold('migrateVm')
  const moving = cloud.call(migrateVm, { vmInstanceUuid: vm.uuid, hostUuid: dc.hosts[1] })
  await hold.waiting
  assert.equal(leases(), 1)
  await cloud.call(reconnectHost, { uuid: String(dc.hosts[1]) })
  hold.release()
  await moving
  assert.equal(leases(), 1)
})

test('candidates are the hosts that could take it, and one of them is taken when none is named', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t, { hosts: 3 })
  await cloud.call(changeHostState, { uuid: String(dc.hosts[1]), stateEvent: 'disable' })
  const { inventories } = await cloud.call(getVmMigrationCandidateHosts, { vmInstanceUuid: vm.uuid })
  assert.deepEqual(
    inventories?.map((h) => h.uuid),
    [dc.hosts[2]],
  )
  const moved = inventoryOf(await cloud.call(migrateVm, { vmInstanceUuid: vm.uuid }))
  assert.equal(moved.hostUuid, dc.hosts[2])
})

test('impossible moves are refused with the reason', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t, { hosts: 2 })
  const move = { vmInstanceUuid: vm.uuid }
  const to = (hostUuid: string | undefined) => ({ ...move, hostUuid })
  await assertRefused(cloud, migrateVm, to(dc.hosts[0]), {
    code: 'VM.1008',
    says: /runs on the host .* already/,
  })
  const missing = { code: 'SYS.1003', field: 'hostUuid', says: /Host that does not exist/ }
  await assertRefused(cloud, migrateVm, to(newUuid()), missing)
  await cloud.call(changeHostState, { uuid: String(dc.hosts[1]), stateEvent: 'disable' })
  const none = { code: 'HOST_ALLOCATION.1000', says: /host2 is in the state Disabled/ }
  await assertRefused(cloud, migrateVm, move, none)
  await assertRefused(cloud, migrateVm, to(dc.hosts[1]), none)
  assert.deepEqual((await cloud.call(getVmMigrationCandidateHosts, move)).inventories, [])
  await cloud.call(stopVmInstance, { uuid: vm.uuid })
  const off = { code: 'VM.1010', says: /is Stopped; it can be migrated only when Running/ }
  await assertRefused(cloud, migrateVm, move, off)
  await assertRefused(cloud, getVmMigrationCandidateHosts, move, off)
})

test('a host whose disk cannot hold the VM is no candidate', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t, { hosts: 2 }, { rootDiskSize: 700 * GiB })
  const move = { vmInstanceUuid: vm.uuid }
  await createVm(cloud, dc, { hostUuid: dc.hosts[1], rootDiskSize: 600 * GiB })
  assert.deepEqual((await cloud.call(getVmMigrationCandidateHosts, move)).inventories, [])
  await assertRefused(cloud, migrateVm, move, {
    code: 'HOST_ALLOCATION.1000',
    says: /host2 has .* of local space free on ps/,
  })
})

test('when the transfer fails the VM runs on where it was and the other side is clean', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t, { hosts: 2 })
  const target = simulatedHost(cloud, 1)
  const steps = [
    [host, 'migrateVm'],
    [target, 'prepareMigration'],
    [target, 'createVolumeFromCache'],
  ] as const
  for (const [where, call] of steps) {
    where.knobs.failNext(call, `no ${call}`)
    await assert.rejects(cloud.call(migrateVm, { vmInstanceUuid: vm.uuid }), new RegExp(`no ${call}`))
    const [shown] = await cloud.query(queryVmInstance)
    assert.deepEqual([shown?.state, shown?.hostUuid], ['Running', dc.hosts[0]], call)
    const overlays = target.state.files.list('/zstack_ps').filter((f) => !f.path.includes('imagecache'))
    assert.deepEqual([overlays, target.state.vms.size, host.state.vms.size], [[], 0, 1], call)
    assert.equal(host.state.networks.get(dc.l3)?.leases.size, 1)
    assert.equal(target.state.networks.get(dc.l3)?.leases.size ?? 0, 0)
    const hosts = await cloud.query(queryHost, { conditions: [{ name: 'name', op: '=', value: 'host2' }] })
    assert.equal(hosts[0]?.availableMemoryCapacity, hosts[0]?.totalMemoryCapacity)
  }
})

test('a move whose answer got lost counts as what it was', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t, { hosts: 2 })
  host.knobs.failNext('migrateVm', 'connection lost', { after: true })
  const moved = inventoryOf(await cloud.call(migrateVm, { vmInstanceUuid: vm.uuid }))
  assert.deepEqual([moved.state, moved.hostUuid], ['Running', dc.hosts[1]])
  assert.equal(host.state.vms.size, 0)
})

test('a VM whose image is gone still moves, or is refused before anything is done', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t, { hosts: 2 })
  await cloud.call(deleteImage, { uuid: dc.image })
  const moved = inventoryOf(await cloud.call(migrateVm, { vmInstanceUuid: vm.uuid }))
  assert.equal(moved.hostUuid, dc.hosts[1])
  await cloud.call(expungeImage, { imageUuid: dc.image })
  await assertRefused(
    cloud,
    migrateVm,
    { vmInstanceUuid: vm.uuid },
    { code: 'VM.1008', says: /image.*expunged/ },
  )
})

test('what is left of a move is tidied up after the next one, not beside it', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t, { hosts: 3 })
  const { workflows, queues, db } = cloud.cloud.context
  const to = (i: number) => ({ vmInstanceUuid: vm.uuid, hostUuid: dc.hosts[i] })
  host.knobs.failAlways('cleanMigration', 'the host is away')
  await assert.rejects(cloud.call(migrateVm, to(1)), { details: /could not be taken back/ })
  assert.deepEqual(
    (await workflows.unfinished()).map(({ name, state }) => [name, state]),
    [['vm.migrate', 'Stuck']],
  )
  const hold = simulatedHost(cloud, 1).knobs.hold('migrateVm')
  const moving = cloud.call(migrateVm, to(2))
  await hold.waiting
  host.knobs.clear('cleanMigration')
  const retried = workflows.retryStuck()
  await waitFor('the retry to wait for the move', () => queues.entries().some(({ running }) => !running))
  hold.release()
  assert.equal(inventoryOf(await moving).hostUuid, dc.hosts[2])
  assert.deepEqual(await retried, [])
  assert.deepEqual(await audit(db, cloud.world), [])
})
