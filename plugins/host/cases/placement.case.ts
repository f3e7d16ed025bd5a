import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changeClusterState } from '#plugins/cluster/contract/apis.ts'
import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { createVm } from '#plugins/vm/cases/vm-scene.ts'
import { createVmInstance, queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { changeZoneState } from '#plugins/zone/contract/apis.ts'
import { assertRefused, simulatedHost, startCloud, type TestCloud } from '#testkit'
import { changeHostState, getCpuMemoryCapacity, queryHost, reconnectHost } from '../contract/apis.ts'

const MiB = 2 ** 20
const GiB = 2 ** 30
const noHost = 'HOST_ALLOCATION.1000'

interface HostRow {
  readonly uuid: string
  readonly name: string
  readonly totalCpuCapacity: number
  readonly availableCpuCapacity: number
  readonly totalMemoryCapacity: number
  readonly availableMemoryCapacity: number
}
const hosts = async (cloud: TestCloud) =>
  (await cloud.query(queryHost, { sortBy: 'name', sortDirection: 'asc' })) as unknown as HostRow[]
const anywhere = { hostUuid: undefined, instanceOfferingUuid: undefined, cpuNum: 1 }

test('when no host can take a VM the error tells for each one why', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 4, hostMemoryBytes: 2 * GiB })
  const [h1, h2, h3] = dc.hosts.map(String)
  await createVm(cloud, dc, { hostUuid: h1, instanceOfferingUuid: undefined, cpuNum: 1, memorySize: 1 * GiB })
  await cloud.call(changeHostState, { uuid: String(h2), stateEvent: 'disable' })
  await cloud.call(changeHostState, { uuid: String(h3), stateEvent: 'maintain' })
  simulatedHost(cloud, 3).knobs.crash()
  await assert.rejects(cloud.call(reconnectHost, { uuid: String(dc.hosts[3]) }), { code: 'HOST.1002' })
  const input = { name: 'a', imageUuid: dc.image, zoneUuid: dc.zone, cpuNum: 1, memorySize: 1.5 * GiB }
  const error = await assertRefused(cloud, createVmInstance, input, {
    code: noHost,
    says: /^no host can take the VM with 1 virtual CPUs and 1\.5 GiB of memory: /,
  })
  const reasons = error.details.split(': ')[1]?.split('; ')
  assert.deepEqual(reasons, [
    'host1 has 1 GiB of memory free',
    'host2 is in the state Disabled',
    'host3 is in the state Maintenance',
    'host4 is Disconnected (at step place of vm.create)',
  ])
})

test('disabled clusters and zones take no new VMs, and say so', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const input = { name: 'a', imageUuid: dc.image, zoneUuid: dc.zone, cpuNum: 1, memorySize: GiB }
  await cloud.call(changeClusterState, { uuid: dc.cluster, stateEvent: 'disable' })
  const inCluster = { code: noHost, says: /host1 is in the disabled cluster cluster/ }
  await assertRefused(cloud, createVmInstance, input, inCluster)
  await cloud.call(changeClusterState, { uuid: dc.cluster, stateEvent: 'enable' })
  await cloud.call(changeZoneState, { uuid: dc.zone, stateEvent: 'disable' })
  await assertRefused(cloud, createVmInstance, input, {
    code: noHost,
    says: /host1 is in the disabled zone zone/,
  })
  await cloud.call(changeZoneState, { uuid: dc.zone, stateEvent: 'enable' })
  assert.ok(await cloud.call(createVmInstance, input))
})

test('the last byte and the last CPU can be used, and not one more', async (t) => {
  const { cloud, dc } = await startCloud(t, { hostMemoryBytes: GiB, hostCpus: 1 })
  const big = await createVm(cloud, dc, { ...anywhere, cpuNum: 10, memorySize: GiB })
  const [full] = await hosts(cloud)
  assert.deepEqual([full?.availableCpuCapacity, full?.availableMemoryCapacity], [0, 0])
  const input = { name: 'b', imageUuid: dc.image, zoneUuid: dc.zone, cpuNum: 1, memorySize: 16 * MiB }
  await assertRefused(cloud, createVmInstance, input, { code: noHost, says: /host1 has 0 virtual CPUs free/ })
  await cloud.call(destroyVmInstance, { uuid: big.uuid })
  const more = { ...input, memorySize: GiB + 1 }
  await assertRefused(cloud, createVmInstance, more, { code: noHost, says: /host1 has 1 GiB of memory free/ })
  await createVm(cloud, dc, { ...anywhere, memorySize: GiB })
})

test('memory over-provisioning counts from the moment it is set, and gives back what was taken', async (t) => {
  const { cloud, dc } = await startCloud(t, { hostMemoryBytes: GiB })
  const ratio = (value: string) =>
    cloud.call(updateGlobalConfig, { category: 'mevoco', name: 'overProvisioning.memory', value })
  const one = await createVm(cloud, dc, { ...anywhere, memorySize: GiB })
  const input = { name: 'b', imageUuid: dc.image, zoneUuid: dc.zone, cpuNum: 1, memorySize: GiB }
  await assertRefused(cloud, createVmInstance, input, { code: noHost, says: /0 GiB of memory free/ })
  await ratio('2.0')
  const two = await createVm(cloud, dc, { ...anywhere, memorySize: GiB })
  await assertRefused(cloud, createVmInstance, input, { code: noHost, says: /0 GiB of memory free/ })
  await ratio('1.0')
  for (const vm of [one, two]) await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  const [free] = await hosts(cloud)
  assert.equal(free?.availableMemoryCapacity, free?.totalMemoryCapacity)
})

test('CPU over-provisioning counts from the moment it is set', async (t) => {
  const { cloud, dc } = await startCloud(t, { hostCpus: 1 })
  const [before] = await hosts(cloud)
  assert.equal(before?.totalCpuCapacity, 10)
  await createVm(cloud, dc, { ...anywhere, cpuNum: 4, memorySize: GiB })
  await cloud.call(updateGlobalConfig, { category: 'host', name: 'cpu.overProvisioning.ratio', value: '5' })
  const [after] = await hosts(cloud)
  assert.deepEqual([after?.totalCpuCapacity, after?.availableCpuCapacity], [5, 1])
})

test('VMs spread over the hosts, and the capacity told is the sum of what is left', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 3, hostMemoryBytes: 4 * GiB })
  for (let i = 0; i < 6; i += 1) await createVm(cloud, dc, { hostUuid: undefined, name: `vm${i}` })
  const counts = [0, 1, 2].map((i) => simulatedHost(cloud, i).state.vms.size)
  assert.deepEqual(counts, [2, 2, 2])
  const all = await cloud.call(getCpuMemoryCapacity, { zoneUuids: [dc.zone] })
  assert.deepEqual([all.totalMemory, all.availableMemory], [12 * GiB, 12 * GiB - 6 * 128 * MiB])
  const one = await cloud.call(getCpuMemoryCapacity, { hostUuids: [String(dc.hosts[0])] })
  assert.deepEqual([one.totalMemory, one.availableMemory], [4 * GiB, 4 * GiB - 2 * 128 * MiB])
})

test('500 VMs at once never take more than there is; those that fit run, the others say why', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 4, hostMemoryBytes: 100 * 128 * MiB })
  const input = {
    name: 'a',
    imageUuid: dc.image,
    instanceOfferingUuid: dc.instanceOffering,
    zoneUuid: dc.zone,
  }
  const tries = Array.from({ length: 500 }, () => cloud.call(createVmInstance, input))
  const results = await Promise.allSettled(tries)
  const failed = results.filter((r) => r.status === 'rejected')
  assert.equal(failed.length, 100)
  assert.deepEqual([...new Set(failed.map((r) => r.reason.code))], [noHost])
  for (const [i, row] of (await hosts(cloud)).entries()) {
    const { state } = simulatedHost(cloud, i)
    assert.deepEqual([row.availableMemoryCapacity, state.usedMemoryBytes], [0, row.totalMemoryCapacity])
    assert.equal(row.totalCpuCapacity - row.availableCpuCapacity, state.vms.size)
  }
  const { total } = await cloud.cloud.context.query.query(queryVmInstance.resource as never, {
    conditions: [{ name: 'state', op: '=', value: 'Running' }],
    count: true,
  })
  assert.equal(total, 400)
})

test('a host with a full disk is passed over, with the reason when there is no other', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 2 })
  const fill = { rootDiskSize: 1000 * GiB }
  await createVm(cloud, dc, { hostUuid: dc.hosts[0], ...fill })
  const next = await createVm(cloud, dc, { hostUuid: undefined, rootDiskSize: 100 * GiB })
  assert.equal(next.hostUuid, dc.hosts[1])
  const input = { name: 'b', imageUuid: dc.image, zoneUuid: dc.zone, cpuNum: 1, memorySize: GiB, ...fill }
  await assertRefused(cloud, createVmInstance, input, {
    code: noHost,
    says: /host1 has .* of local space free on ps, .*; host2 has .* of local space free on ps, .* needed/,
  })
})

test('data disks count when a host is chosen', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 2 })
  const host = dc.hosts[0]
  await createVm(cloud, dc, { hostUuid: host, rootDiskSize: 900 * GiB })
  // The second host has less memory free and would be tried last.
  await createVm(cloud, dc, { ...anywhere, hostUuid: dc.hosts[1], memorySize: 8 * GiB })
  const vm = await createVm(cloud, dc, { hostUuid: undefined, dataDiskSizes: [200 * GiB] })
  assert.equal(vm.hostUuid, dc.hosts[1])
})
