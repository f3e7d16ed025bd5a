import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { newUuid } from '#kernel'
import { definePlugin } from '#plugin-host'
import { cluster } from '#plugins/cluster/contract/resources.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { createL2NoVlanNetwork } from '#plugins/l2-network/contract/apis.ts'
import {
  attachL2NetworkToCluster,
  detachL2NetworkFromCluster,
} from '#plugins/l2-network/contract/cluster-apis.ts'
import { l2NetworkPlugin } from '#plugins/l2-network/plugin.ts'
import { type NetworkCloud, startNetworkCloud } from '#plugins/l3-network/cases/network-cloud.ts'
import {
  type NetworkView,
  type SimulatedHosts,
  simulatedHosts,
} from '#plugins/l3-network/cases/simulated-hosts.ts'
import { createL3Network, deleteL3Network } from '#plugins/l3-network/contract/apis.ts'
import { addDnsToL3Network } from '#plugins/l3-network/contract/dns-apis.ts'
import { addIpRange, deleteIpRange } from '#plugins/l3-network/contract/ip-range-apis.ts'
import { allocateIp, releaseIp } from '#plugins/l3-network/contract/messages.ts'
import { l3NetworkPlugin } from '#plugins/l3-network/plugin.ts'
import {
  attachNetworkServiceToL3Network as attachService,
  detachNetworkServiceFromL3Network as detachService,
  getNetworkServiceTypes,
  queryNetworkServiceProvider,
} from '#plugins/network-service/contract/apis.ts'
import type { ServedNic } from '#plugins/network-service/contract/extensions.ts'
import { applyServices, removeServices, restoreServices } from '#plugins/network-service/contract/messages.ts'
import { networkServicePlugin } from '#plugins/network-service/plugin.ts'
import { convergeServices, nicsOnHost } from '#plugins/vm/contract/messages.ts'
import { vmInstance, vmNic } from '#plugins/vm/contract/resources.ts'
import { zone } from '#plugins/zone/contract/resources.ts'
import { flatNetworkPlugin } from '../plugin.ts'

function macsOf(view: NetworkView, l3NetworkUuid: string): string[] | undefined {
  return view.leases(l3NetworkUuid)?.map((lease) => lease.mac)
}

type Nic = Omit<ServedNic, 'services'>

interface Setup extends NetworkCloud {
  readonly l2: string
  readonly l3: string
  readonly clusterUuid: string
  readonly hostUuid: string
  readonly other: string
  readonly sim: SimulatedHosts
  readonly running: Map<string, Nic[]>
  /** A NIC with an address, of a VM on `hostUuid`. */
  nic(l3NetworkUuid?: string, values?: Partial<Nic>): Promise<Nic>
  addRange(startIp: string, endIp: string): Promise<string>
}

const both = { Flat: ['DHCP', 'Userdata'] }

async function arrange(t: TestContext): Promise<Setup> {
  const sim = simulatedHosts()
  const running = new Map<string, Nic[]>()
  const vms = definePlugin({
    name: 'running-vms',
    setup: (ctx) => {
      ctx.serve(nicsOnHost, async ({ hostUuid }) => running.get(hostUuid) ?? [])
      ctx.serve(convergeServices, async () => {})
    },
  })
  const plugins = [sim.plugin, vms, l2NetworkPlugin, l3NetworkPlugin, networkServicePlugin, flatNetworkPlugin]
  const net = await startNetworkCloud(t, plugins)
  const zoneUuid = await net.row(zone, {})
  const clusterUuid = await net.row(cluster, { zoneUuid })
  const common = { clusterUuid, zoneUuid, hypervisorType: 'Simulator', status: 'Connected' }
  const hostUuid = await net.row(host, { ...common, managementIp: '1' })
  const other = await net.row(host, { ...common, managementIp: '2' })
  const l2 = (await net.call(createL2NoVlanNetwork, { name: 'l2', zoneUuid, physicalInterface: 'eth0' })).uuid
  await net.call(attachL2NetworkToCluster, { l2NetworkUuid: l2, clusterUuid })
  const l3 = (await net.call(createL3Network, { name: 'n', l2NetworkUuid: l2, dnsDomain: 'zs.test' })).uuid
  const nic = async (l3NetworkUuid: string = l3, values: Partial<Nic> = {}): Promise<Nic> => {
    const vmUuid = await net.row(vmInstance, { hostUuid, clusterUuid })
    const nicUuid = await net.row(vmNic, { vmInstanceUuid: vmUuid, l3NetworkUuid, mac: vmUuid })
    const { ip } = await net.cloud.context.bus.call(allocateIp, { l3NetworkUuid, vmNicUuid: nicUuid })
    const mac = `fa:00:00:${ip
      .split('.')
      .slice(1)
      .map((n) => Number(n).toString(16).padStart(2, '0'))
      .join(':')}`
    const rest = { hostname: undefined, metadata: {}, userData: undefined, isDefault: true }
    const made = { nicUuid, vmUuid, l3NetworkUuid, mac, ip, ...rest, ...values }
    running.set(hostUuid, [...(running.get(hostUuid) ?? []), made])
    return made
  }
  const addRange = async (startIp: string, endIp: string) => {
    const params = {
      l3NetworkUuid: l3,
      name: 'r',
      startIp,
      endIp,
      netmask: '255.255.255.0',
      gateway: '10.0.0.1',
    }
    return (await net.call(addIpRange, params)).uuid
  }
  return { ...net, l2, l3, clusterUuid, hostUuid, other, sim, running, nic, addRange }
}

test('the provider is made once and accepted by uuid, type and name; what it cannot do is refused', async (t) => {
  const { call, l3, cloud } = await arrange(t)
  const { inventories } = await cloud.dispatcher.call({ api: queryNetworkServiceProvider, params: {} })
  const [provider, more] = inventories as { uuid: string; name: string; networkServiceTypes: string[] }[]
  assert.equal(more, undefined)
  assert.deepEqual(provider?.networkServiceTypes.toSorted(), ['DHCP', 'Userdata'])
  assert.deepEqual((await call(getNetworkServiceTypes, {})).types, { DHCP: ['Flat'], Userdata: ['Flat'] })
  const attach = (networkServices: object) => call(attachService, { l3NetworkUuid: l3, networkServices })
  const refused: readonly [object, string, RegExp][] = [
    [{ Nobody: ['DHCP'] }, 'SYS.1007', /'Nobody'; there are: Flat\[uuid/],
    [{ Flat: ['SNAT'] }, 'SYS.1007', /no service 'SNAT'; it offers DHCP, Userdata/],
    [{ Flat: [] }, 'SYS.1007', /no service is named/],
    [{}, 'SYS.1007', /names no provider/],
    [{ Flat: ['Userdata'] }, 'NWS.1000', /works only together with DHCP/],
  ]
  for (const [services, code, message] of refused) await assert.rejects(attach(services), { code, message })
  const services = async (input: object) => (await attach(input)).networkServices.length
  assert.equal(await services({ [provider?.uuid ?? '']: ['DHCP'] }), 1)
  assert.equal(await services({ [provider?.name ?? '']: ['Userdata'] }), 2)
  assert.equal(await services(both), 2)
  const detach = (input: object) => call(detachService, { l3NetworkUuid: l3, ...input })
  await assert.rejects(detach({ service: 'DHCP' }), {
    code: 'NWS.1001',
    message: /Userdata.*together with DHCP/,
  })
  await assert.rejects(detach({ service: 'SNAT' }), {
    code: 'NWS.1001',
    message: /it has DHCP, Userdata|it has/,
  })
  assert.equal((await detach({ service: 'Userdata' })).networkServices.length, 1)
  assert.equal((await detach({ networkServices: { Flat: ['DHCP'] } })).networkServices.length, 0)
  await assert.rejects(detach({ networkServices: { Flat: ['DHCP'] } }), { code: 'NWS.1001' })
})

test('NICs become leases, one call for each network, with metadata only where the network has it', async (t) => {
  const { call, cloud, l2, l3, hostUuid, sim, nic, addRange, tags } = await arrange(t)
  await addRange('10.0.0.10', '10.0.0.20')
  await call(addDnsToL3Network, { l3NetworkUuid: l3, dns: '9.9.9.9' })
  await call(attachService, { l3NetworkUuid: l3, networkServices: both })
  assert.match(tags.get(l3)?.join() ?? '', /^flatNetwork::DhcpServer::10\.0\.0\.10::ipUuid::[0-9a-f]{32}$/)
  const plain = (await call(createL3Network, { name: 'p', l2NetworkUuid: l2 })).uuid
  const range = { name: 'p', startIp: '10.1.0.5', endIp: '10.1.0.9', netmask: '255.255.0.0' }
  await call(addIpRange, { l3NetworkUuid: plain, ...range })
  await call(attachService, { l3NetworkUuid: plain, networkServices: { Flat: ['DHCP'] } })
  const metadata = { 'public-keys/0/openssh-key': 'ssh-ed25519 AAAA' }
  const one = await nic(l3, { hostname: 'web', tap: 'vnic1.0', metadata, userData: '#cloud-config' })
  const two = await nic(l3)
  const three = await nic(plain, { isDefault: false, metadata, userData: '#cloud-config' })
  await cloud.context.bus.call(applyServices, { hostUuid, nics: [one, two, three] })
  const view = sim.host(hostUuid)
  assert.equal(view.knobs.count('addFlatLeases'), 2)
  const served = view.leases(l3) ?? []
  assert.deepEqual(view.config(l3), {
    l3NetworkUuid: l3,
    bridge: 'br_eth0',
    physicalInterface: 'eth0',
    dhcpServerIp: '10.0.0.10',
    netmask: '255.255.255.0',
    gateway: '10.0.0.1',
    dns: ['9.9.9.9'],
    domain: 'zs.test',
  })
  assert.deepEqual(
    served.map((lease) => lease.hostname),
    ['web', '10-0-0-12'],
  )
  assert.deepEqual(served[0]?.metadata, {
    'instance-id': one.vmUuid,
    'local-hostname': 'web',
    hostname: 'web',
    'local-ipv4': one.ip,
    mac: one.mac,
    ...metadata,
  })
  assert.equal(served[0]?.userData, '#cloud-config')
  assert.equal(served[0]?.tap, 'vnic1.0')
  const bare = { vmUuid: three.vmUuid, mac: three.mac, ip: three.ip, isDefault: false }
  assert.deepEqual(view.leases(plain), [bare])
  await cloud.context.bus.call(removeServices, { hostUuid, nics: [one, three] })
  assert.deepEqual(macsOf(view, l3), [two.mac])
  assert.equal(view.leases(plain), undefined)
})

test('a network without services asks nothing of a host', async (t) => {
  const { cloud, hostUuid, sim, nic, addRange } = await arrange(t)
  await addRange('10.0.0.10', '10.0.0.20')
  await cloud.context.bus.call(applyServices, { hostUuid, nics: [await nic()] })
  assert.deepEqual(sim.host(hostUuid).asked(), ['createBridge'])
})

test('restoring a host sets its networks to exactly what runs there', async (t) => {
  const { call, cloud, l3, hostUuid, sim, nic, addRange } = await arrange(t)
  await addRange('10.0.0.10', '10.0.0.20')
  await call(attachService, { l3NetworkUuid: l3, networkServices: both })
  const [one, two] = [await nic(), await nic()]
  const { bus } = cloud.context
  const macs = () => macsOf(sim.host(hostUuid), l3)
  await bus.call(applyServices, { hostUuid, nics: [one, two] })
  await bus.call(restoreServices, { hostUuid, nics: [two] })
  assert.deepEqual(macs(), [two.mac])
  await bus.call(restoreServices, { hostUuid, nics: [] })
  assert.equal(macs(), undefined)
})

test('hosts learn of changed networks, and lose what is detached or deleted', async (t) => {
  const { call, cloud, l2, l3, clusterUuid, hostUuid, other, sim, nic, addRange, tags } = await arrange(t)
  const first = await addRange('10.0.0.10', '10.0.0.20')
  const one = await nic()
  await call(attachService, { l3NetworkUuid: l3, networkServices: both })
  const view = sim.host(hostUuid)
  assert.deepEqual(macsOf(view, l3), [one.mac], 'a running VM is served at once')
  assert.deepEqual(sim.host(other).asked(), ['createBridge'], 'a host without VMs of it is left alone')
  await call(addDnsToL3Network, { l3NetworkUuid: l3, dns: '1.1.1.1' })
  assert.deepEqual(view.config(l3)?.dns, ['1.1.1.1'])

  view.knobs.failAlways('deleteFlatNetwork', 'made to fail')
  const detach = { l3NetworkUuid: l3, networkServices: both }
  await assert.rejects(call(detachService, detach), { message: /made to fail/ })
  assert.ok(view.config(l3))
  view.knobs.clear()
  assert.deepEqual((await call(detachService, detach)).networkServices, [])
  assert.equal(view.config(l3), undefined)

  await call(attachService, { l3NetworkUuid: l3, networkServices: both })
  await cloud.context.bus.call(releaseIp, { vmNicUuid: one.nicUuid })
  for (const table of ['VmNicVO', 'VmInstanceVO']) {
    await cloud.context.db.write((tx) => tx.run(`DELETE FROM ${table}`, []))
  }
  await addRange('10.0.0.30', '10.0.0.40')
  await call(deleteIpRange, { uuid: first })
  assert.match(
    tags.get(l3)?.join() ?? '',
    /^flatNetwork::DhcpServer::10\.0\.0\.30::ipUuid::/,
    'a new address',
  )
  const attachment = { l2NetworkUuid: l2, clusterUuid }
  await call(detachL2NetworkFromCluster, attachment)
  assert.equal(view.config(l3), undefined)
  assert.deepEqual(view.bridges(), [])
  await call(attachL2NetworkToCluster, attachment)
  await call(deleteL3Network, { uuid: l3 })
  assert.equal(view.asked().at(-1), 'deleteFlatNetwork')
  assert.deepEqual(await cloud.context.db.all('SELECT * FROM NetworkServiceL3NetworkRefVO', []), [])
})

test('without an address for the DHCP server the services are not attached', async (t) => {
  const { call, cloud, l3, addRange } = await arrange(t)
  await addRange('10.0.0.10', '10.0.0.10')
  await cloud.context.bus.call(allocateIp, { l3NetworkUuid: l3, vmNicUuid: newUuid() })
  const attach = call(attachService, { l3NetworkUuid: l3, networkServices: both })
  await assert.rejects(attach, { code: 'L3.1000', message: /all 1 addresses/ })
  assert.deepEqual(await cloud.context.db.all('SELECT * FROM NetworkServiceL3NetworkRefVO', []), [])
})
