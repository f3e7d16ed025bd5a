import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { createCluster } from '#plugins/cluster/contract/apis.ts'
import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { addSimulatorPrimaryStorage } from '#plugins/simulator/contract/apis.ts'
import { createVm } from '#plugins/vm/cases/vm-scene.ts'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance, expungeVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { createZone } from '#plugins/zone/contract/apis.ts'
import { assertRefused, inventoryOf, simulatedHost, startCloud, type TestCloud } from '#testkit'
import * as apis from '../contract/apis.ts'
import { attachPrimaryStorageToCluster, detachPrimaryStorageFromCluster } from '../contract/cluster-apis.ts'

const GiB = 2 ** 30
const disk = 2 ** 40
const storageOf = async (cloud: TestCloud) => (await cloud.query(apis.queryPrimaryStorage))[0]

test('the space told is that of the hosts, less what is promised', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 2 })
  const before = await storageOf(cloud)
  assert.deepEqual([before?.totalCapacity, before?.availableCapacity], [2 * disk, 2 * disk])
  assert.deepEqual(
    [before?.attachedClusterUuids, before?.status, before?.state],
    [[dc.cluster], 'Connected', 'Enabled'],
  )
  await createVm(cloud, dc, { rootDiskSize: 10 * GiB, dataDiskSizes: [5 * GiB] })
  const image = 16 * 2 ** 20
  const after = await cloud.call(apis.getPrimaryStorageCapacity, { primaryStorageUuids: [dc.primaryStorage] })
  assert.deepEqual([after.totalCapacity, after.availableCapacity], [2 * disk, 2 * disk - 15 * GiB - image])
  const byCluster = await cloud.call(apis.getPrimaryStorageCapacity, { clusterUuids: [dc.cluster] })
  assert.deepEqual(byCluster, after)
})

test('over-provisioning of storage counts from the moment it is set, and the numbers add up in the end', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const ratio = (value: string) =>
    cloud.call(updateGlobalConfig, { category: 'mevoco', name: 'overProvisioning.primaryStorage', value })
  const one = await createVm(cloud, dc, { rootDiskSize: 800 * GiB })
  const big = {
    name: 'b',
    imageUuid: dc.image,
    zoneUuid: dc.zone,
    cpuNum: 1,
    memorySize: GiB,
    rootDiskSize: 800 * GiB,
  }
  await assertRefused(cloud, createVmInstance, big, {
    code: 'HOST_ALLOCATION.1000',
    says: /local space free/,
  })
  await ratio('2.0')
  const two = inventoryOf(await cloud.call(createVmInstance, big))
  await ratio('1.0')
  for (const uuid of [one.uuid, two.uuid]) {
    await cloud.call(destroyVmInstance, { uuid })
    await cloud.call(expungeVmInstance, { uuid })
  }
  assert.equal((await storageOf(cloud))?.availableCapacity, disk - 16 * 2 ** 20)
})

test('a storage that is disabled or in maintenance gets no new disks, and is named as the reason', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const uuid = dc.primaryStorage
  const input = { name: 'b', imageUuid: dc.image, zoneUuid: dc.zone, cpuNum: 1, memorySize: GiB }
  for (const [stateEvent, state] of [
    ['disable', 'Disabled'],
    ['maintain', 'Maintenance'],
  ] as const) {
    assert.equal(
      inventoryOf(await cloud.call(apis.changePrimaryStorageState, { uuid, stateEvent })).state,
      state,
    )
    const says = new RegExp(`host1 its primary storage ps is ${state}`)
    await assertRefused(cloud, createVmInstance, input, { code: 'HOST_ALLOCATION.1000', says })
  }
  await cloud.call(apis.changePrimaryStorageState, { uuid, stateEvent: 'enable' })
  assert.ok(await cloud.call(createVmInstance, input))
})

test('attaching and detaching: zones must agree, what is used stays, what failed leaves nothing', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const ref = { primaryStorageUuid: dc.primaryStorage, clusterUuid: dc.cluster }
  const zoneUuid = inventoryOf(await cloud.call(createZone, { name: 'far' })).uuid
  const far = inventoryOf(
    await cloud.call(createCluster, { name: 'far', zoneUuid, hypervisorType: 'Simulator' }),
  )
  const zones = { code: 'PS.1001', says: /ps and the cluster far lie in different zones/ }
  await assertRefused(cloud, attachPrimaryStorageToCluster, { ...ref, clusterUuid: far.uuid }, zones)
  await assertRefused(cloud, attachPrimaryStorageToCluster, ref, {
    code: 'PS.1001',
    says: /attached to the cluster cluster already/,
  })
  await assertRefused(
    cloud,
    detachPrimaryStorageFromCluster,
    { ...ref, clusterUuid: far.uuid },
    { code: 'PS.1002', says: /not attached/ },
  )
  const vm = await createVm(cloud, dc)
  const used = { code: 'PS.1002', says: /still use volumes on the storage: ROOT-for-vm/ }
  await assertRefused(cloud, detachPrimaryStorageFromCluster, ref, used)
  await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  await cloud.call(expungeVmInstance, { uuid: vm.uuid })
  const loose = inventoryOf(await cloud.call(detachPrimaryStorageFromCluster, ref))
  assert.deepEqual([loose.attachedClusterUuids, loose.totalCapacity], [[], 0])
  simulatedHost(cloud).knobs.failNext('initStorage', 'read-only file system')
  const broken = {
    code: 'PS.1001',
    says: /ps could not be prepared on the host host1: .*read-only file system/,
  }
  await assertRefused(cloud, attachPrimaryStorageToCluster, ref, broken)
  assert.equal(inventoryOf(await cloud.call(attachPrimaryStorageToCluster, ref)).totalCapacity, disk)
})

test('changes, reconnection, and deletion when nothing is left', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const uuid = dc.primaryStorage
  const named = inventoryOf(
    await cloud.call(apis.updatePrimaryStorage, { uuid, name: 'fast', description: 'd' }),
  )
  assert.deepEqual([named.name, named.description, named.url], ['fast', 'd', '/zstack_ps'])
  simulatedHost(cloud).knobs.resizeDisk(2 * disk)
  assert.equal(inventoryOf(await cloud.call(apis.reconnectPrimaryStorage, { uuid })).totalCapacity, 2 * disk)
  const full = { code: 'SYS.1004', says: /fast is attached to 1 cluster\(s\) and holds 0 volume\(s\)/ }
  await assertRefused(cloud, apis.deletePrimaryStorage, { uuid }, full)
  await cloud.call(detachPrimaryStorageFromCluster, { primaryStorageUuid: uuid, clusterUuid: dc.cluster })
  await cloud.call(apis.deletePrimaryStorage, { uuid })
  assert.equal(await storageOf(cloud), undefined)
  const wrong = [
    [{ url: undefined }, 'url', /mandatory/, 'SYS.1007'],
    [{ zoneUuid: newUuid() }, 'zoneUuid', /not exist/, 'SYS.1003'],
    [{ url: 'relative' }, 'url', /absolute|match/, 'SYS.1007'],
  ] as const
  const good = { name: 'ps', url: '/ps', zoneUuid: dc.zone }
  for (const [change, field, says, code] of wrong)
    await assertRefused(cloud, addSimulatorPrimaryStorage, { ...good, ...change }, { code, field, says })
})
