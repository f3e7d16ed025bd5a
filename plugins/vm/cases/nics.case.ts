import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { getIpAddressCapacity } from '#plugins/l3-network/contract/address-apis.ts'
import { changeL3NetworkState, createL3Network } from '#plugins/l3-network/contract/apis.ts'
import { addIpRange } from '#plugins/l3-network/contract/ip-range-apis.ts'
import { assertRefused, type DataCenter, inventoryOf, type TestCloud } from '#testkit'
import { queryVmInstance } from '../contract/create-apis.ts'
import { attachL3NetworkToVm, detachL3NetworkFromVm, queryVmNic } from '../contract/nic-apis.ts'
import { pauseVmInstance, startVmInstance, stopVmInstance } from '../contract/power-apis.ts'
import { startCloudWithVm } from './vm-scene.ts'

/** A second network on the same L2. */
async function secondNetwork(cloud: TestCloud, dc: DataCenter): Promise<string> {
  const l3 = inventoryOf(await cloud.call(createL3Network, { name: 'second', l2NetworkUuid: dc.l2 } as never))
  const range = { startIp: '10.50.0.10', endIp: '10.50.0.12', netmask: '255.255.255.0', gateway: '10.50.0.1' }
  await cloud.call(addIpRange, { l3NetworkUuid: l3.uuid, name: 'r', ...range } as never)
  return l3.uuid
}
const used = async (cloud: TestCloud, l3: string) =>
  (await cloud.call(getIpAddressCapacity, { l3NetworkUuids: [l3] })).usedIpAddressNumber

test('a NIC is plugged into a running VM and taken from it again', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const l3NetworkUuid = await secondNetwork(cloud, dc)
  const attach = { vmInstanceUuid: vm.uuid, l3NetworkUuid, staticIp: '10.50.0.11' }
  const shown = inventoryOf(await cloud.call(attachL3NetworkToVm, attach))
  const nics = shown.vmNics.map((n: { ip: string; deviceId: number }) => [n.deviceId, n.ip])
  assert.deepEqual(nics, [
    [0, vm.vmNics[0].ip],
    [1, '10.50.0.11'],
  ])
  const domain = host.state.vms.get(vm.uuid)
  assert.deepEqual(
    domain?.nics.map((n) => n.mac),
    shown.vmNics.map((n: { mac: string }) => n.mac),
  )
  const left = inventoryOf(await cloud.call(detachL3NetworkFromVm, { vmNicUuid: shown.vmNics[1].uuid }))
  assert.deepEqual([left.vmNics.length, domain?.nics.length, await used(cloud, l3NetworkUuid)], [1, 1, 0])
})

test('a NIC attached while the VM is off is there when it starts; the last one taken leaves no default network', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  await cloud.call(stopVmInstance, { uuid: vm.uuid })
  const l3NetworkUuid = await secondNetwork(cloud, dc)
  const customMac = 'FA:00:00:00:00:01'
  const shown = inventoryOf(
    await cloud.call(attachL3NetworkToVm, { vmInstanceUuid: vm.uuid, l3NetworkUuid, customMac }),
  )
  assert.equal(shown.vmNics[1].mac, customMac.toLowerCase())
  const less = inventoryOf(await cloud.call(detachL3NetworkFromVm, { vmNicUuid: vm.vmNics[0].uuid }))
  assert.equal(less.defaultL3NetworkUuid, l3NetworkUuid)
  await cloud.call(startVmInstance, { uuid: vm.uuid })
  assert.deepEqual(
    host.state.vms.get(vm.uuid)?.nics.map((n) => n.mac),
    [customMac.toLowerCase()],
  )
  const none = inventoryOf(await cloud.call(detachL3NetworkFromVm, { vmNicUuid: shown.vmNics[1].uuid }))
  assert.deepEqual([none.vmNics, none.defaultL3NetworkUuid], [[], undefined])
})

test('what cannot be attached is refused and nothing is kept', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t)
  const second = await secondNetwork(cloud, dc)
  const good = { vmInstanceUuid: vm.uuid, l3NetworkUuid: second }
  const refuse = (change: object, expected: Parameters<typeof assertRefused>[3]) =>
    assertRefused(cloud, attachL3NetworkToVm, { ...good, ...change }, expected)
  const missing = 'SYS.1003'
  await refuse({ vmInstanceUuid: newUuid() }, { code: missing, field: 'vmInstanceUuid', says: /not exist/ })
  await refuse({ l3NetworkUuid: newUuid() }, { code: missing, field: 'l3NetworkUuid', says: /not exist/ })
  await refuse({ customMac: 'xyz' }, { code: 'SYS.1007', field: 'customMac', says: /MAC/ })
  await refuse({ customMac: '01:00:5e:00:00:01' }, { code: 'SYS.1007', field: 'customMac', says: /MAC/ })
  await refuse({ customMac: vm.vmNics[0].mac }, { code: 'VM.1009', says: /is taken/ })
  await refuse(
    { l3NetworkUuid: dc.l3 },
    { code: 'SYS.1007', field: 'l3NetworkUuid', says: /has a NIC on .* already/ },
  )
  await assert.rejects(cloud.call(attachL3NetworkToVm, { ...good, staticIp: '1.2.3.4' }), /1\.2\.3\.4/)
  await assert.rejects(cloud.call(attachL3NetworkToVm, { ...good, staticIp: 'here' }), /here/)
  await cloud.call(changeL3NetworkState, { uuid: second, stateEvent: 'disable' })
  await refuse({}, { code: 'SYS.1007', field: 'l3NetworkUuid', says: /second is Disabled/ })
  await cloud.call(pauseVmInstance, { uuid: vm.uuid })
  await refuse({}, { code: 'VM.1010', says: /is Paused; it can be given a NIC only when Running or Stopped/ })
  assert.deepEqual([(await cloud.query(queryVmNic)).length, await used(cloud, second)], [1, 0])
})

test('a guest that does not take or give a NIC leaves everything as it was', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const l3NetworkUuid = await secondNetwork(cloud, dc)
  const attach = { vmInstanceUuid: vm.uuid, l3NetworkUuid }
  host.knobs.failNext('attachNic', 'no slot')
  await assert.rejects(cloud.call(attachL3NetworkToVm, attach), /no slot/)
  const [shown] = await cloud.query(queryVmInstance)
  assert.deepEqual([(await cloud.query(queryVmNic)).length, await used(cloud, l3NetworkUuid)], [1, 0])
  assert.equal(shown?.defaultL3NetworkUuid, dc.l3)
  host.knobs.failNext('detachNic', 'guest holds on')
  await assert.rejects(cloud.call(detachL3NetworkFromVm, { vmNicUuid: vm.vmNics[0].uuid }), /holds on/)
  assert.equal(host.state.vms.get(vm.uuid)?.nics.length, 1)
  assert.equal(host.state.networks.get(dc.l3)?.leases.size, 1)
})

test('concurrent attachments get NICs of their own, as many as there are addresses', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t)
  const networks = await Promise.all([1, 2, 3].map(() => secondNetwork(cloud, dc).catch(() => undefined)))
  const usable = networks.filter((uuid) => uuid !== undefined)
  await Promise.all(
    usable.map((l3NetworkUuid) =>
      cloud.call(attachL3NetworkToVm, { vmInstanceUuid: vm.uuid, l3NetworkUuid }),
    ),
  )
  const nics = await cloud.query(queryVmNic)
  assert.equal(new Set(nics.map((n) => n.deviceId)).size, usable.length + 1)
  assert.equal(new Set(nics.map((n) => n.mac)).size, usable.length + 1)
})
