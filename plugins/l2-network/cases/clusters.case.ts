import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { find, get } from '#db'
import { clusterHook } from '#plugins/cluster/contract/extensions.ts'
import { cluster } from '#plugins/cluster/contract/resources.ts'
import { hostFilter, hostHook, type PlacementSpec } from '#plugins/host/contract/extensions.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { type NetworkCloud, startNetworkCloud } from '#plugins/l3-network/cases/network-cloud.ts'
import { type SimulatedHosts, simulatedHosts } from '#plugins/l3-network/cases/simulated-hosts.ts'
import { createL3Network, deleteL3Network } from '#plugins/l3-network/contract/apis.ts'
import { l3NetworkPlugin } from '#plugins/l3-network/plugin.ts'
import { vmInstance, vmNic } from '#plugins/vm/contract/resources.ts'
import { zoneHook } from '#plugins/zone/contract/extensions.ts'
import { zone } from '#plugins/zone/contract/resources.ts'
import { createL2NoVlanNetwork, deleteL2Network } from '../contract/apis.ts'
import { attachL2NetworkToCluster, detachL2NetworkFromCluster } from '../contract/cluster-apis.ts'
import { bridgeOfL3 } from '../contract/messages.ts'
import { l2NetworkPlugin } from '../plugin.ts'

interface Setup extends NetworkCloud {
  readonly zoneUuid: string
  readonly clusterUuid: string
  readonly l2: string
  readonly hosts: readonly [string, string]
  readonly sim: SimulatedHosts
  readonly attachment: { l2NetworkUuid: string; clusterUuid: string }
  addHost(name: string, status: string): Promise<string>
}

async function arrange(t: TestContext): Promise<Setup> {
  const sim = simulatedHosts()
  const net = await startNetworkCloud(t, [sim.plugin, l2NetworkPlugin, l3NetworkPlugin])
  const zoneUuid = await net.row(zone, { name: 'z' })
  const clusterUuid = await net.row(cluster, { name: 'c', zoneUuid })
  const addHost = (name: string, status: string) =>
    net.row(host, { name, managementIp: name, clusterUuid, zoneUuid, hypervisorType: 'Simulator', status })
  const hosts = [await addHost('h1', 'Connected'), await addHost('h2', 'Connected')] as const
  const params = { name: 'l2', zoneUuid, physicalInterface: 'eth0' }
  const l2 = (await net.call(createL2NoVlanNetwork, params)).uuid
  return {
    ...net,
    zoneUuid,
    clusterUuid,
    l2,
    hosts,
    sim,
    attachment: { l2NetworkUuid: l2, clusterUuid },
    addHost,
  }
}

test('attaching makes the bridge on every connected host; one that connects later gets it then', async (t) => {
  const { call, attachment, clusterUuid, sim, hosts, addHost, cloud } = await arrange(t)
  const late = await addHost('late', 'Disconnected')
  const attached = await call(attachL2NetworkToCluster, attachment)
  assert.deepEqual(attached.attachedClusterUuids, [clusterUuid])
  for (const uuid of hosts) assert.deepEqual(sim.host(uuid).bridges(), ['br_eth0'])
  assert.deepEqual(sim.host(late).asked(), [])
  const connected = async (uuid: string) => {
    const row = await get(cloud.context.db, host, uuid)
    for (const hook of cloud.context.hooks(hostHook)) await hook.connected?.(row)
  }
  await connected(late)
  assert.deepEqual(sim.host(late).bridges(), ['br_eth0'])
  await assert.rejects(call(attachL2NetworkToCluster, attachment), { code: 'L2.1000', message: /already/ })
  const bare = await addHost('bare', 'Connecting')
  sim.host(bare).unplug()
  await assert.rejects(connected(bare), { code: 'L2.1000', message: /'bare'.*no interface eth0/ })
})

test('a host without the interface makes the attachment fail, and no host keeps a bridge', async (t) => {
  const { call, attachment, sim, hosts, cloud } = await arrange(t)
  sim.host(hosts[1]).unplug()
  const message = /interface eth0 for L2 network 'l2'.*host 'h2'.*no interface eth0/
  await assert.rejects(call(attachL2NetworkToCluster, attachment), { code: 'L2.1000', message })
  assert.ok(sim.host(hosts[0]).asked().includes('createBridge'))
  for (const uuid of hosts) assert.deepEqual(sim.host(uuid).bridges(), [])
  for (const table of ['L2NetworkClusterRefVO', 'WorkflowVO', 'WorkflowStepVO']) {
    assert.deepEqual(await cloud.context.db.all(`SELECT * FROM ${table}`, []), [], table)
  }
})

test('two networks cannot share an interface in a cluster; the first stays', async (t) => {
  const { call, attachment, zoneUuid, clusterUuid, sim, hosts } = await arrange(t)
  await call(attachL2NetworkToCluster, attachment)
  const other = (await call(createL2NoVlanNetwork, { name: 'o', zoneUuid, physicalInterface: 'eth0' })).uuid
  const second = { l2NetworkUuid: other, clusterUuid }
  await assert.rejects(call(attachL2NetworkToCluster, second), {
    code: 'L2.1000',
    message: /same interface eth0/,
  })
  assert.deepEqual(sim.host(hosts[0]).bridges(), ['br_eth0'])
})

test('detaching is refused while VMs run there, and taken back when a host refuses', async (t) => {
  const { call, attachment, clusterUuid, l2, sim, hosts, row, cloud } = await arrange(t)
  await call(attachL2NetworkToCluster, attachment)
  const l3 = (await call(createL3Network, { name: 'n', l2NetworkUuid: l2 })).uuid
  const vm = await row(vmInstance, { name: 'web', clusterUuid, hostUuid: hosts[0], state: 'Running' })
  await row(vmNic, { vmInstanceUuid: vm, l3NetworkUuid: l3 })
  await assert.rejects(call(detachL2NetworkFromCluster, attachment), {
    message: /running VMs .*'web'.*stop or migrate/,
  })
  await cloud.context.db.write((tx) => tx.run('UPDATE VmInstanceVO SET hostUuid = NULL', []))
  sim.host(hosts[1]).knobs.failAlways('deleteBridge', 'the bridge is busy')
  await assert.rejects(call(detachL2NetworkFromCluster, attachment), { message: /host 'h2'.*busy/ })
  for (const uuid of hosts) assert.deepEqual(sim.host(uuid).bridges(), ['br_eth0'])
  sim.host(hosts[1]).knobs.clear()
  assert.deepEqual((await call(detachL2NetworkFromCluster, attachment)).attachedClusterUuids, [])
  for (const uuid of hosts) assert.deepEqual(sim.host(uuid).bridges(), [])
})

test('deleting goes from the top down, and takes bridges along', async (t) => {
  const { call, attachment, clusterUuid, zoneUuid, l2, sim, hosts, cloud } = await arrange(t)
  const before = async () => {
    for (const hook of cloud.context.hooks(clusterHook)) await hook.beforeDelete(clusterUuid)
    for (const hook of cloud.context.hooks(zoneHook)) await hook.beforeDelete(zoneUuid)
  }
  await call(attachL2NetworkToCluster, attachment)
  await assert.rejects(before, {
    code: 'SYS.1004',
    message: /cluster still has the L2 networks 'l2'.*detach/,
  })
  const l3 = (await call(createL3Network, { name: 'n', l2NetworkUuid: l2 })).uuid
  await assert.rejects(call(deleteL2Network, { uuid: l2 }), { code: 'SYS.1004', message: /L3 networks 'n'/ })
  await call(deleteL3Network, { uuid: l3 })
  await call(deleteL2Network, { uuid: l2 })
  for (const uuid of hosts) assert.deepEqual(sim.host(uuid).bridges(), [])
  await before()
})

test('hosts of clusters without the network are rejected, with the reason', async (t) => {
  const { call, attachment, l2, cloud, hosts } = await arrange(t)
  const l3 = (await call(createL3Network, { name: 'n', l2NetworkUuid: l2 })).uuid
  const { db, hooks, bus } = cloud.context
  const spec = { l3NetworkUuids: [l3] } as unknown as PlacementSpec
  const reasons = async () => {
    const candidates = await find(db, host, {}, { orderBy: ['name'] })
    return (await Promise.all(hooks(hostFilter).map((f) => f.filter(candidates, spec)))).flat()
  }
  const rejected = await reasons()
  assert.deepEqual(
    rejected.map((r) => r.hostUuid),
    hosts,
  )
  assert.match(rejected[0]?.reason ?? '', /L2 network 'l2'.* of L3 network 'n'.*not attached to its cluster/)
  await call(attachL2NetworkToCluster, attachment)
  assert.deepEqual(await reasons(), [])
  const bridge = await bus.call(bridgeOfL3, { l3NetworkUuid: l3 })
  assert.deepEqual(bridge, { bridge: 'br_eth0', physicalInterface: 'eth0' })
})

test('an interface that cannot be is refused', async (t) => {
  const { call, zoneUuid } = await arrange(t)
  for (const physicalInterface of ['', 'a b', 'eth0;reboot', '..', 'a-name-too-long0']) {
    const params = { name: 'x', zoneUuid, physicalInterface }
    await assert.rejects(call(createL2NoVlanNetwork, params), { code: 'SYS.1007' }, physicalInterface)
  }
})
