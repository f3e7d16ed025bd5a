import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSimulatedHost } from '#agents/simulator/kvm-host.ts'
import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { addSimulatorHost } from '#plugins/simulator/contract/apis.ts'
import { createVm, startCloudWithVm } from '#plugins/vm/cases/vm-scene.ts'
import { queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { startVmInstance, stopVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { assertRefused, inventoryOf, simulatedHost, startCloud, type TestCloud, waitFor } from '#testkit'
import { changeHostState, deleteHost, queryHost, reconnectHost } from '../contract/apis.ts'

const first = async (cloud: TestCloud, api: typeof queryHost) => (await cloud.query(api))[0]
const vmState = async (cloud: TestCloud) => (await first(cloud, queryVmInstance))?.state
const hostStatus = async (cloud: TestCloud) => (await first(cloud, queryHost))?.status

/** Hosts are pinged every second, and one missed ping is enough. */
async function pingOften(cloud: TestCloud): Promise<void> {
  await cloud.call(updateGlobalConfig, { category: 'host', name: 'ping.interval', value: '1' })
  await cloud.call(updateGlobalConfig, { category: 'host', name: 'ping.maxFailures', value: '1' })
  await cloud.restart()
}

test('a host that does not answer is not added, and nothing of it is kept; it can be added once it answers', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const machine = createSimulatedHost({ world: cloud.world, address: '10.9.9.9' })
  const input = { name: 'new', managementIp: '10.9.9.9', clusterUuid: dc.cluster }
  machine.knobs.crash()
  await assertRefused(cloud, addSimulatorHost, input, {
    code: 'HOST.1000',
    says: /the host new at 10\.9\.9\.9 could not be added: .*connection refused.*nothing of it was kept/,
  })
  for (const call of ['initStorage', 'createBridge'] as const) {
    const again = createSimulatedHost({ world: cloud.world, address: `10.9.9.${call.length}` })
    again.knobs.failNext(call, `no ${call}`)
    await assertRefused(
      cloud,
      addSimulatorHost,
      { ...input, managementIp: again.address },
      { code: 'HOST.1000', says: new RegExp(`no ${call}`) },
    )
  }
  const added = inventoryOf(await cloud.call(addSimulatorHost, { ...input, managementIp: '10.9.9.10' }))
  assert.equal(added.status, 'Connected')
})

test('a host is known once: the same address and wrong members are refused', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const good = { name: 'new', managementIp: '10.9.9.9', clusterUuid: dc.cluster }
  const refuse = (change: object, field: string, says: RegExp, code = 'SYS.1007') =>
    assertRefused(cloud, addSimulatorHost, { ...good, ...change }, { code, field, says })
  await refuse({ managementIp: '10.1.0.1' }, 'managementIp', /host1.* has the address 10\.1\.0\.1 already/)
  await refuse({ managementIp: '' }, 'managementIp', /empty/)
  await refuse({ name: undefined }, 'name', /mandatory/)
  await refuse({ clusterUuid: undefined }, 'clusterUuid', /mandatory/)
  await refuse({ clusterUuid: dc.zone }, 'clusterUuid', /Cluster that does not exist/, 'SYS.1003')
  await refuse({ memoryCapacity: -5 }, 'memoryCapacity', /-5/)
  await refuse({ resourceUuid: dc.hosts[0] }, 'resourceUuid', /exists already/)
  assert.ok(simulatedHost(cloud), 'the first host is still there')
})

test('a host that crashes with VMs is found out; its VMs are Unknown, then Stopped when it is back, and start again', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  await pingOften(cloud)
  host.knobs.crash()
  await waitFor('the VM to be Unknown', async () => (await vmState(cloud)) === 'Unknown')
  assert.equal(await hostStatus(cloud), 'Disconnected')
  host.knobs.start()
  await waitFor('the host to be back', async () => (await hostStatus(cloud)) === 'Connected')
  await waitFor('the VM to be Stopped', async () => (await vmState(cloud)) === 'Stopped')
  const shown = await first(cloud, queryHost)
  assert.equal(shown?.availableMemoryCapacity, shown?.totalMemoryCapacity)
  const started = inventoryOf(await cloud.call(startVmInstance, { uuid: vm.uuid }))
  assert.deepEqual([started.state, started.hostUuid], ['Running', dc.hosts[0]])
})

test('when only the agent was away, the VMs that run on are Running again', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  await pingOften(cloud)
  host.knobs.failAlways('hostPing', 'agent away')
  await waitFor('the VM to be Unknown', async () => (await vmState(cloud)) === 'Unknown')
  host.knobs.clear()
  await waitFor('the VM to be Running', async () => (await vmState(cloud)) === 'Running')
  assert.equal(host.state.vms.get(vm.uuid)?.state, 'Running')
})

test('a host that was restarted between two pings is noticed', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  await pingOften(cloud)
  const pings = host.knobs.count('hostPing')
  await waitFor('a ping', () => host.knobs.count('hostPing') > pings)
  host.knobs.crash()
  host.knobs.start()
  await waitFor('the VM to be Stopped', async () => (await vmState(cloud)) === 'Stopped')
  assert.ok(host.state.bridges.has('br_eth1'), 'the networks are made again')
  const started = inventoryOf(await cloud.call(startVmInstance, { uuid: vm.uuid }))
  assert.equal(started.hostUuid, dc.hosts[0])
})

test('a VM whose QEMU dies, or whose guest shuts down, is Stopped and gives back what it had', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  for (const end of [host.knobs.crashVm, host.knobs.guestShutdown]) {
    end(vm.uuid)
    await waitFor('the VM to be Stopped', async () => (await vmState(cloud)) === 'Stopped')
    const shown = await first(cloud, queryHost)
    assert.equal(shown?.availableMemoryCapacity, shown?.totalMemoryCapacity)
    assert.deepEqual([host.state.usedMemoryBytes, host.state.vms.size], [0, 0])
    assert.equal(host.state.networks.get(dc.l3)?.leases.size ?? 0, 0)
    await cloud.call(startVmInstance, { uuid: vm.uuid })
  }
})

test('a domain this cloud does not know is reported and left alone', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const domain = host.state.vms.get(vm.uuid)
  assert.ok(domain)
  const stranger = 'a'.repeat(32)
  host.state.vms.set(stranger, { ...domain, spec: { ...domain.spec, vmUuid: stranger } })
  await cloud.call(reconnectHost, { uuid: String(dc.hosts[0]) })
  assert.ok(host.state.vms.has(stranger))
  assert.deepEqual([(await cloud.query(queryVmInstance)).length, await vmState(cloud)], [1, 'Running'])
})

test('reconnecting tells why it failed, and finds out what became of the VMs when it works', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const uuid = String(dc.hosts[0])
  host.knobs.crash()
  const failed = {
    code: 'HOST.1002',
    message: /host1 at 10\.1\.0\.1 could not be reconnected: .*connection refused/,
  }
  await assert.rejects(cloud.call(reconnectHost, { uuid }), failed)
  assert.equal(await hostStatus(cloud), 'Disconnected')
  assert.equal(await vmState(cloud), 'Unknown')
  host.knobs.start()
  const back = inventoryOf(await cloud.call(reconnectHost, { uuid }))
  assert.deepEqual([back.status, await vmState(cloud)], ['Connected', 'Stopped'])
  await cloud.call(startVmInstance, { uuid: vm.uuid })
})

test('maintenance is refused while VMs run; then the host takes none until it is enabled', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t)
  const uuid = String(dc.hosts[0])
  const maintain = { uuid, stateEvent: 'maintain' }
  await assertRefused(cloud, changeHostState, maintain, { code: 'HOST.1001', says: /still runs the VM web/ })
  await cloud.call(stopVmInstance, { uuid: vm.uuid })
  assert.equal(
    inventoryOf(await cloud.call(changeHostState, { uuid, stateEvent: 'maintain' })).state,
    'Maintenance',
  )
  await assertRefused(
    cloud,
    startVmInstance,
    { uuid: vm.uuid },
    { code: 'HOST_ALLOCATION.1000', says: /Maintenance/ },
  )
  assert.equal(
    inventoryOf(await cloud.call(changeHostState, { uuid, stateEvent: 'enable' })).state,
    'Enabled',
  )
  await cloud.call(startVmInstance, { uuid: vm.uuid })
  const wrong = { code: 'SYS.1007', field: 'stateEvent', says: /enable, disable, maintain/ }
  await assertRefused(cloud, changeHostState, { uuid, stateEvent: 'break' }, wrong)
})

test('VMs on a host that is away: stop and destroy fail with the reason and lose nothing', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const other = await createVm(cloud, dc, { name: 'other' })
  host.knobs.crash()
  await assert.rejects(cloud.call(stopVmInstance, { uuid: vm.uuid }), /connection refused/)
  await assert.rejects(cloud.call(destroyVmInstance, { uuid: other.uuid }), /connection refused/)
  host.knobs.start()
  await cloud.call(reconnectHost, { uuid: String(dc.hosts[0]) })
  const states = (await cloud.query(queryVmInstance)).map((v) => v.state)
  assert.deepEqual(states, ['Stopped', 'Stopped'])
})

test('a host that dies while a VM starts there: the VM is Unknown, keeps its place, and is settled when it is back', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const { uuid } = vm
  await cloud.call(stopVmInstance, { uuid })
  const hold = host.knobs.hold('startVm', { after: true })
  const starting = cloud.call(startVmInstance, { uuid })
  await hold.waiting
  host.knobs.crash()
  await assert.rejects(starting, /connection refused/)
  const shown = await first(cloud, queryHost)
  assert.equal(await vmState(cloud), 'Unknown')
  assert.equal(Number(shown?.totalMemoryCapacity) - Number(shown?.availableMemoryCapacity), vm.memorySize)
  host.knobs.clear()
  host.knobs.start()
  await cloud.call(reconnectHost, { uuid: String(dc.hosts[0]) })
  const after = await first(cloud, queryHost)
  assert.deepEqual(
    [await vmState(cloud), after?.availableMemoryCapacity],
    ['Stopped', after?.totalMemoryCapacity],
  )
  await cloud.call(startVmInstance, { uuid })
})

test('a ping while a host is removed brings nothing back to it', async (t) => {
  const { cloud, dc } = await startCloud(t)
  await pingOften(cloud)
  const host = simulatedHost(cloud)
  const hold = host.knobs.hold('deleteBridge', { after: true })
  const deletion = cloud.call(deleteHost, { uuid: String(dc.hosts[0]) })
  await hold.waiting
  const [pings, bridges] = [host.knobs.count('hostPing'), host.knobs.count('createBridge')]
  await waitFor('a ping', () => host.knobs.count('hostPing') > pings)
  hold.release()
  await deletion
  await cloud.restart()
  assert.equal(host.knobs.count('createBridge'), bridges)
  assert.deepEqual([[...cloud.world.hosts.keys()], await cloud.query(queryHost)], [[], []])
})
