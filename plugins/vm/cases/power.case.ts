import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { queryHost } from '#plugins/host/contract/apis.ts'
import { assertRefused, inventoryOf, simulatedHost, startCloud, testDialect } from '#testkit'
import { createVmInstance, queryVmInstance } from '../contract/create-apis.ts'
import * as power from '../contract/power-apis.ts'
import { startCloudWithVm } from './vm-scene.ts'

const wrongState = 'VM.1010'

test('stop gives CPU and memory back and takes the leases away; start takes them again, same disk and address', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const [full] = await cloud.query(queryHost)
  const stopped = inventoryOf(await cloud.call(power.stopVmInstance, { uuid: vm.uuid }))
  assert.deepEqual(
    [stopped.state, stopped.hostUuid, stopped.lastHostUuid],
    ['Stopped', undefined, dc.hosts[0]],
  )
  const [free] = await cloud.query(queryHost)
  assert.equal(Number(free?.availableMemoryCapacity) - Number(full?.availableMemoryCapacity), vm.memorySize)
  assert.equal(Number(free?.availableCpuCapacity) - Number(full?.availableCpuCapacity), vm.cpuNum)
  assert.deepEqual([host.state.vms.size, host.state.networks.get(dc.l3)?.leases.size ?? 0], [0, 0])
  const started = inventoryOf(await cloud.call(power.startVmInstance, { uuid: vm.uuid }))
  assert.deepEqual(
    [started.state, started.vmNics[0].ip, started.allVolumes[0].installPath],
    ['Running', vm.vmNics[0].ip, vm.allVolumes[0].installPath],
  )
  assert.equal(host.state.networks.get(dc.l3)?.leases.size, 1)
})

test('a graceful stop waits as configured, a cold one cuts the power at once', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  await cloud.call(updateGlobalConfig, { category: 'vm', name: 'gracefulStop.timeout', value: '7' })
  host.knobs.recordCalls(true)
  await cloud.call(power.stopVmInstance, { uuid: vm.uuid })
  await cloud.call(power.startVmInstance, { uuid: vm.uuid })
  await cloud.call(power.stopVmInstance, { uuid: vm.uuid, type: 'cold' })
  const graces = host.knobs.calls('stopVm').map(({ input }) => (input as { graceMs: number }).graceMs)
  assert.deepEqual(graces, [7000, 0])
})

test('stopping what is stopped succeeds and does nothing', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  await cloud.call(power.stopVmInstance, { uuid: vm.uuid })
  const calls = host.knobs.count()
  assert.equal(inventoryOf(await cloud.call(power.stopVmInstance, { uuid: vm.uuid })).state, 'Stopped')
  assert.equal(host.knobs.count(), calls)
})

test('reboot, pause and resume change the domain on the host', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  const domain = () => host.state.vms.get(vm.uuid)
  const before = domain()
  assert.equal(inventoryOf(await cloud.call(power.rebootVmInstance, { uuid: vm.uuid })).state, 'Running')
  assert.notEqual(domain(), before, 'it was ended and begun anew')
  assert.equal(inventoryOf(await cloud.call(power.pauseVmInstance, { uuid: vm.uuid })).state, 'Paused')
  assert.equal(domain()?.state, 'Paused')
  assert.equal(inventoryOf(await cloud.call(power.resumeVmInstance, { uuid: vm.uuid })).state, 'Running')
  assert.equal(domain()?.state, 'Running')
  await cloud.call(power.pauseVmInstance, { uuid: vm.uuid })
  assert.equal(inventoryOf(await cloud.call(power.stopVmInstance, { uuid: vm.uuid })).state, 'Stopped')
})

test('what the state does not allow is refused, telling which states would', async (t) => {
  const { cloud, vm } = await startCloudWithVm(t)
  const { uuid } = vm
  const refuse = (api: Parameters<typeof assertRefused>[1], says: RegExp) =>
    assertRefused(cloud, api, { uuid }, { code: wrongState, says })
  await refuse(power.startVmInstance, /web.* is Running; it can be started only when Stopped or Created/)
  await refuse(power.resumeVmInstance, /is Running; it can be resumed only when Paused/)
  await cloud.call(power.pauseVmInstance, { uuid })
  await refuse(power.rebootVmInstance, /is Paused; it can be rebooted only when Running/)
  await refuse(power.pauseVmInstance, /is Paused/)
  await cloud.call(power.stopVmInstance, { uuid })
  await refuse(power.pauseVmInstance, /is Stopped/)
  await refuse(power.rebootVmInstance, /is Stopped/)
  const missing = { code: 'SYS.1003', field: 'uuid', says: /VmInstance that does not exist/ }
  for (const api of Object.values(power)) await assertRefused(cloud, api, { uuid: newUuid() }, missing)
  const none = { code: 'SYS.1007', field: 'uuid', says: /mandatory/ }
  for (const api of Object.values(power)) await assertRefused(cloud, api, {}, none)
  const type = { code: 'SYS.1007', field: 'type', says: /grace, cold/ }
  await assertRefused(cloud, power.stopVmInstance, { uuid, type: 'soft' }, type)
})

test('a failed stop, pause or reboot leaves the state that is true on the host', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  const state = async () => (await cloud.query(queryVmInstance))[0]?.state
  host.knobs.failNext('stopVm', 'stuck')
  await assert.rejects(cloud.call(power.stopVmInstance, { uuid: vm.uuid }), /stuck/)
  assert.equal(await state(), 'Running')
  host.knobs.failNext('pauseVm', 'answer lost', { after: true })
  await assert.rejects(cloud.call(power.pauseVmInstance, { uuid: vm.uuid }), /answer lost/)
  assert.equal(await state(), host.state.vms.get(vm.uuid)?.state)
  host.knobs.failNext('rebootVm', 'no')
  await assert.rejects(cloud.call(power.rebootVmInstance, { uuid: vm.uuid }), /no/)
  assert.equal(await state(), 'Running')
  host.knobs.failNext('stopVm', 'answer lost', { after: true })
  await assert.rejects(cloud.call(power.stopVmInstance, { uuid: vm.uuid }), /answer lost/)
  assert.deepEqual([await state(), host.state.vms.size], ['Stopped', 0])
})

test('a start that fails leaves the VM Stopped with nothing taken, and works the next time', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  await cloud.call(power.stopVmInstance, { uuid: vm.uuid })
  const [before] = await cloud.query(queryHost)
  for (const after of [false, true]) {
    host.knobs.failNext('startVm', 'kernel panic', { after })
    await assert.rejects(cloud.call(power.startVmInstance, { uuid: vm.uuid }), /kernel panic/)
    const [shown] = await cloud.query(queryVmInstance)
    const [free] = await cloud.query(queryHost)
    assert.deepEqual([shown?.state, shown?.hostUuid, host.state.vms.size], ['Stopped', undefined, 0])
    assert.equal(free?.availableMemoryCapacity, before?.availableMemoryCapacity)
    assert.equal(host.state.networks.get(dc.l3)?.leases.size ?? 0, 0)
  }
  assert.equal(inventoryOf(await cloud.call(power.startVmInstance, { uuid: vm.uuid })).state, 'Running')
})

test('the configured cache mode is that of the disks, from the next start on', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  const mode = () => host.state.vms.get(vm.uuid)?.disks[0]?.cacheMode
  assert.equal(mode(), 'none')
  await cloud.call(updateGlobalConfig, { category: 'kvm', name: 'vm.cacheMode', value: 'writeback' })
  assert.equal(mode(), 'none')
  await cloud.call(power.rebootVmInstance, { uuid: vm.uuid })
  assert.equal(mode(), 'writeback')
})

test('many starts and stops of one VM at the same time end in an order, never in between', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  const { uuid } = vm
  const wishes = Array.from({ length: 12 }, (_, i) => (i % 2 ? power.startVmInstance : power.stopVmInstance))
  await Promise.allSettled(wishes.map((api) => cloud.call(api as typeof power.startVmInstance, { uuid })))
  const [shown] = await cloud.query(queryVmInstance)
  const outcome = [shown?.state, host.state.vms.get(uuid)?.state]
  // With a database in another process, calls made at the same time may overtake each other before they come to the queue.
  if (testDialect === 'sqlite' || shown?.state === 'Running')
    assert.deepEqual(outcome, ['Running', 'Running'])
  else assert.deepEqual(outcome, ['Stopped', undefined])
})

test('two VMs with one disk image each have their own disk', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const input = {
    name: 'a',
    imageUuid: dc.image,
    instanceOfferingUuid: dc.instanceOffering,
    zoneUuid: dc.zone,
  }
  const [a, b] = await Promise.all(
    [1, 2].map(async () => inventoryOf(await cloud.call(createVmInstance, input))),
  )
  assert.notEqual(a?.allVolumes[0].installPath, b?.allVolumes[0].installPath)
  assert.equal(simulatedHost(cloud).state.vms.size, 2)
})
