import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { startCloudWithVm } from '#plugins/vm/cases/vm-scene.ts'
import { destroyVmInstance, expungeVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { stopVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { createDataVolume } from '#plugins/volume/contract/apis.ts'
import { assertRefused, inventoryOf, startCloud } from '#testkit'
import * as apis from '../contract/apis.ts'

const GiB = 2 ** 30

test('a host shows what it has, and its name and address can be changed', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 2, hostMemoryBytes: 8 * GiB, hostCpus: 4 })
  const uuid = String(dc.hosts[0])
  const [shown] = await cloud.query(apis.queryHost, { conditions: [{ name: 'uuid', op: '=', value: uuid }] })
  const expected = {
    name: 'host1',
    managementIp: '10.1.0.1',
    hypervisorType: 'Simulator',
    state: 'Enabled',
    status: 'Connected',
    totalCpuCapacity: 40,
    availableCpuCapacity: 40,
    cpuNum: 4,
    totalMemoryCapacity: 8 * GiB,
    availableMemoryCapacity: 8 * GiB,
    architecture: 'x86_64',
    clusterUuid: dc.cluster,
    zoneUuid: dc.zone,
  }
  assert.deepEqual({ ...shown, ...expected }, shown)
  const named = inventoryOf(await cloud.call(apis.updateHost, { uuid, name: 'rack1', description: 'd' }))
  assert.deepEqual([named.name, named.description], ['rack1', 'd'])
  const taken = {
    code: 'SYS.1007',
    field: 'managementIp',
    says: /host2.* has the address 10\.1\.0\.2 already/,
  }
  await assertRefused(cloud, apis.updateHost, { uuid, managementIp: '10.1.0.2' }, taken)
  const { hypervisorTypes } = await cloud.call(apis.getHypervisorTypes, {})
  assert.deepEqual(hypervisorTypes?.sort(), ['KVM', 'Simulator'])
  assert.ok((await cloud.call(apis.getHostAllocatorStrategies, {})).strategies?.length)
})

test('a host goes only when nothing of a VM is on it; then nothing of it is left', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t, { hosts: 2 })
  const uuid = String(dc.hosts[0])
  const running = { code: 'SYS.1004', says: /host host1 still / }
  await assertRefused(cloud, apis.deleteHost, { uuid }, running)
  await cloud.call(stopVmInstance, { uuid: vm.uuid })
  const holding = { code: 'SYS.1004', says: /local storage.*host1.*ROOT-for-web/ }
  await assertRefused(cloud, apis.deleteHost, { uuid }, holding)
  await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  await cloud.call(expungeVmInstance, { uuid: vm.uuid })
  await cloud.call(apis.deleteHost, { uuid })
  await cloud.call(apis.deleteHost, { uuid })
  assert.deepEqual(
    (await cloud.query(apis.queryHost)).map((h) => h.uuid),
    [dc.hosts[1]],
  )
  assert.equal(cloud.world.hosts.get('10.1.0.1'), undefined)
  const left = await cloud.cloud.context.db.all('SELECT * FROM LocalStorageHostRefVO WHERE hostUuid = ?', [
    uuid,
  ])
  assert.deepEqual(left, [])
})

test('a host that holds a loose data volume stays, too', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const uuid = String(dc.hosts[0])
  const place = { primaryStorageUuid: dc.primaryStorage, systemTags: [`localStorage::hostUuid::${uuid}`] }
  await cloud.call(createDataVolume, { name: 'treasure', diskSize: GiB, ...place })
  await assertRefused(cloud, apis.deleteHost, { uuid }, { code: 'SYS.1004', says: /treasure/ })
})

test('unknown hosts and wrong members are refused', async (t) => {
  const { cloud } = await startCloud(t)
  const uuid = newUuid()
  const missing = { code: 'SYS.1003', field: 'uuid', says: /Host that does not exist/ }
  await assertRefused(cloud, apis.updateHost, { uuid, name: 'x' }, missing)
  await assertRefused(cloud, apis.reconnectHost, { uuid }, missing)
  await assertRefused(cloud, apis.changeHostState, { uuid, stateEvent: 'enable' }, missing)
  await assertRefused(cloud, apis.deleteHost, { uuid: 'x' }, missing)
  const wrong = { code: 'SYS.1003', field: 'hostUuids', says: /Host that does not exist/ }
  await assertRefused(cloud, apis.getCpuMemoryCapacity, { hostUuids: [uuid] }, wrong)
})
