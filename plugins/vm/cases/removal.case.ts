import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { queryHost } from '#plugins/host/contract/apis.ts'
import { getIpAddressCapacity } from '#plugins/l3-network/contract/address-apis.ts'
import { queryPrimaryStorage } from '#plugins/primary-storage/contract/apis.ts'
import { querySystemTag, queryUserTag } from '#plugins/tag/contract/apis.ts'
import { queryVolume } from '#plugins/volume/contract/apis.ts'
import { assertRefused, inventoryOf, type TestCloud, waitFor } from '#testkit'
import { queryVmInstance } from '../contract/create-apis.ts'
import { destroyVmInstance, expungeVmInstance, recoverVmInstance } from '../contract/deletion-apis.ts'
import { queryVmNic } from '../contract/nic-apis.ts'
import { startVmInstance, stopVmInstance } from '../contract/power-apis.ts'
import { createVm, startCloudWithVm } from './vm-scene.ts'

const GiB = 2 ** 30

const configure = (cloud: TestCloud, name: string, value: string, category = 'vm') =>
  cloud.call(updateGlobalConfig, { category, name, value })
const states = async (cloud: TestCloud) => (await cloud.query(queryVmInstance)).map((vm) => vm.state)

test('a destroyed VM is off but kept with its disk and address; recovered, it starts again as it was', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  assert.deepEqual(
    [await states(cloud), host.state.vms.size, host.state.usedMemoryBytes],
    [['Destroyed'], 0, 0],
  )
  const [shown] = await cloud.query(queryHost)
  assert.equal(shown?.availableMemoryCapacity, shown?.totalMemoryCapacity)
  assert.ok(host.state.files.get(vm.allVolumes[0].installPath))
  await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  const recovered = inventoryOf(await cloud.call(recoverVmInstance, { uuid: vm.uuid }))
  assert.deepEqual([recovered.state, recovered.hostUuid], ['Stopped', undefined])
  const started = inventoryOf(await cloud.call(startVmInstance, { uuid: vm.uuid }))
  assert.deepEqual([started.vmNics[0].ip, started.hostUuid], [vm.vmNics[0].ip, dc.hosts[0]])
})

test('an expunged VM is gone with all it had: disk, space, address, tags', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(
    t,
    {},
    { userTags: ['u'], systemTags: ['hostname::h'] },
  )
  const other = await createVm(cloud, dc)
  const free = async () => Number((await cloud.query(queryPrimaryStorage))[0]?.availableCapacity)
  const before = await free()
  await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  await cloud.call(expungeVmInstance, { uuid: vm.uuid })
  assert.deepEqual(
    (await cloud.query(queryVmInstance)).map((v) => v.uuid),
    [other.uuid],
  )
  assert.equal(host.state.files.get(vm.allVolumes[0].installPath), undefined)
  assert.equal((await free()) - before, vm.allVolumes[0].size)
  assert.equal((await cloud.query(queryVmNic)).length, 1)
  const addresses = await cloud.call(getIpAddressCapacity, { l3NetworkUuids: [dc.l3] })
  assert.equal(addresses.usedIpAddressNumber, 2, 'the other VM and the DHCP server')
  const conditions = [{ name: 'resourceUuid', op: '=' as const, value: vm.uuid }]
  assert.deepEqual(await cloud.query(queryUserTag, { conditions }), [])
  assert.deepEqual(await cloud.query(querySystemTag, { conditions }), [])
})

test('deleting goes by state: recover and expunge need a destroyed VM, a missing one is gone already', async (t) => {
  const { cloud, vm } = await startCloudWithVm(t)
  const refuse = (api: Parameters<typeof assertRefused>[1], says: RegExp) =>
    assertRefused(cloud, api, { uuid: vm.uuid }, { code: 'VM.1010', says })
  await refuse(recoverVmInstance, /is Running; it can be recovered only when Destroyed/)
  await refuse(expungeVmInstance, /is Running; it can be expunged only when Destroyed/)
  await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  await refuse(startVmInstance, /is Destroyed/)
  await refuse(stopVmInstance, /is Destroyed/)
  const uuid = newUuid()
  assert.deepEqual(await cloud.call(destroyVmInstance, { uuid }), {})
  const missing = { code: 'SYS.1003', field: 'uuid', says: /does not exist/ }
  await assertRefused(cloud, recoverVmInstance, { uuid }, missing)
  await assertRefused(cloud, expungeVmInstance, { uuid }, missing)
  await assertRefused(cloud, destroyVmInstance, { uuid: 'x' }, missing)
})

test('with the policy Direct nothing is left after the destruction', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  await configure(cloud, 'deletionPolicy', 'Direct')
  await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  assert.deepEqual([await states(cloud), await cloud.query(queryVolume)], [[], []])
  assert.equal(host.state.files.get(vm.allVolumes[0].installPath), undefined)
})

test('with the policy Delay the VM is expunged after the period; with Never it stays', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t)
  await configure(cloud, 'expungeInterval', '1')
  await configure(cloud, 'expungePeriod', '1')
  await configure(cloud, 'deletionPolicy', 'Never')
  // The interval in force when the cloud began is an hour long.
  await cloud.restart()
  await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  const kept = await createVm(cloud, dc)
  await configure(cloud, 'deletionPolicy', 'Delay')
  await waitFor('the destroyed VM to be expunged', async () => (await states(cloud)).length === 1)
  assert.equal((await cloud.query(queryVmInstance))[0]?.uuid, kept.uuid)
})

test('the data volumes of an expunged VM are detached, or deleted when configured so', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t, {}, { dataDiskSizes: [GiB] })
  await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  await cloud.call(expungeVmInstance, { uuid: vm.uuid })
  const [left] = await cloud.query(queryVolume)
  const facts = [left?.type, left?.status, left?.vmInstanceUuid, left?.lastVmInstanceUuid]
  assert.deepEqual(facts, ['Data', 'Ready', undefined, vm.uuid])
  await configure(cloud, 'dataVolume.deleteOnVmDestroy', 'true')
  const second = await createVm(cloud, dc, { dataDiskSizes: [GiB] })
  await cloud.call(destroyVmInstance, { uuid: second.uuid })
  await cloud.call(expungeVmInstance, { uuid: second.uuid })
  const volumes = await cloud.query(queryVolume)
  assert.deepEqual(volumes.map((v) => v.status).sort(), ['Deleted', 'Ready'])
  const third = await createVm(cloud, dc, { dataDiskSizes: [GiB] })
  await configure(cloud, 'deletionPolicy', 'Direct', 'volume')
  await cloud.call(destroyVmInstance, { uuid: third.uuid })
  await cloud.call(expungeVmInstance, { uuid: third.uuid })
  assert.equal((await cloud.query(queryVolume)).length, 2, 'with the policy Direct the disk is gone at once')
})

test('a VM whose power cannot be cut is not destroyed', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  host.knobs.failNext('stopVm', 'libvirt hangs')
  await assert.rejects(cloud.call(destroyVmInstance, { uuid: vm.uuid }), /libvirt hangs/)
  assert.equal(host.state.vms.get(vm.uuid)?.state, 'Running')
  const [state] = await states(cloud)
  assert.ok(state === 'Running' || state === 'Unknown', `it is ${state}`)
  await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  assert.deepEqual([await states(cloud), host.state.vms.size], [['Destroyed'], 0])
})

test('a removal that fails half way can be repeated', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  host.knobs.failNext('deletePath', 'busy')
  await assert.rejects(cloud.call(expungeVmInstance, { uuid: vm.uuid }), /busy/)
  assert.deepEqual(await states(cloud), ['Destroyed'])
  await cloud.call(expungeVmInstance, { uuid: vm.uuid })
  assert.deepEqual(await states(cloud), [])
  assert.equal(host.state.files.get(vm.allVolumes[0].installPath), undefined)
})
