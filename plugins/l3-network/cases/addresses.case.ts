import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { newUuid } from '#kernel'
import { l2Network, l2NetworkClusterRef } from '#plugins/l2-network/contract/resources.ts'
import { l2NetworkMigrations } from '#plugins/l2-network/migrations.ts'
import { vmInstance, vmNic } from '#plugins/vm/contract/resources.ts'
import { checkIpAvailability, getFreeIp, getIpAddressCapacity } from '../contract/address-apis.ts'
import { changeL3NetworkState, createL3Network, deleteL3Network } from '../contract/apis.ts'
import { addDnsToL3Network, removeDnsFromL3Network } from '../contract/dns-apis.ts'
import { addIpRange, addIpRangeByNetworkCidr, deleteIpRange } from '../contract/ip-range-apis.ts'
import { allocateIp, allocateServiceIp, releaseIp } from '../contract/messages.ts'
import type { UsedIp } from '../contract/resources.ts'
import { l3NetworkPlugin } from '../plugin.ts'
import { type NetworkCloud, rowsOnly, startNetworkCloud } from './network-cloud.ts'

interface Setup extends NetworkCloud {
  readonly l2: string
  readonly l3: string
  take(vmNicUuid: string, ip?: string): Promise<UsedIp>
  release(vmNicUuid: string): Promise<void>
  addRange(startIp: string, endIp: string, more?: object): Promise<string>
}

async function arrange(t: TestContext): Promise<Setup> {
  const l2Plugin = rowsOnly('l2-network', [l2Network, l2NetworkClusterRef], l2NetworkMigrations)
  const net = await startNetworkCloud(t, [l2Plugin, l3NetworkPlugin])
  const l2 = await net.row(l2Network, { name: 'l2' })
  const l3 = (await net.call(createL3Network, { name: 'net', l2NetworkUuid: l2 })).uuid
  const { bus } = net.cloud.context
  return {
    ...net,
    l2,
    l3,
    take: (vmNicUuid, ip) => bus.call(allocateIp, { l3NetworkUuid: l3, vmNicUuid, ip }),
    release: (vmNicUuid) => bus.call(releaseIp, { vmNicUuid }),
    addRange: async (startIp, endIp, more = {}) => {
      const params = { l3NetworkUuid: l3, name: 'r', startIp, endIp, netmask: '255.255.0.0', ...more }
      return (await net.call(addIpRange, params)).uuid
    },
  }
}

test('2,000 parallel allocations give each NIC its own address, without gaps; the numbers add up', async (t) => {
  const { call, l3, take, release, addRange } = await arrange(t)
  await addRange('10.1.0.1', '10.1.3.232') // 1,000 addresses
  await addRange('10.1.4.1', '10.1.11.208') // 2,000 addresses
  const nics = Array.from({ length: 2_000 }, () => newUuid())
  const taken = await Promise.all(nics.map((nic) => take(nic)))
  const longs = taken.map((row) => row.ipInLong).sort((a, b) => a - b)
  assert.equal(new Set(longs).size, 2_000)
  assert.equal((longs[999] ?? 0) - (longs[0] ?? 0), 999, 'the first range is used up without gaps')
  assert.equal((longs[1_999] ?? 0) - (longs[1_000] ?? 0), 999, 'then the second')
  const capacity = { l3NetworkUuids: [l3] }
  assert.equal((await call(getIpAddressCapacity, capacity)).availableCapacity, 1_000)
  await Promise.all(nics.map((nic) => release(nic)))
  assert.equal((await call(getIpAddressCapacity, capacity)).usedIpAddressNumber, 0)
})

test('a full network says so; a released address is taken again', async (t) => {
  const { take, release, addRange } = await arrange(t)
  await assert.rejects(take(newUuid()), {
    code: 'L3.1000',
    message: /has no IP range; add one with AddIpRange/,
  })
  await addRange('10.1.0.5', '10.1.0.6')
  await addRange('10.1.0.9', '10.1.0.9')
  const [a, b, c] = [newUuid(), newUuid(), newUuid()]
  assert.equal((await take(a)).ip, '10.1.0.5')
  assert.equal((await take(a)).ip, '10.1.0.5', 'a repeat returns the same address')
  assert.equal((await take(b)).ip, '10.1.0.6')
  assert.equal((await take(c)).ip, '10.1.0.9')
  const full = /all 3 addresses of its ranges \(10\.1\.0\.5-10\.1\.0\.6, 10\.1\.0\.9-10\.1\.0\.9\) are in use/
  await assert.rejects(take(newUuid()), { code: 'L3.1000', message: full })
  await release(b)
  await release(b)
  assert.equal((await take(newUuid())).ip, '10.1.0.6')
  await assert.rejects(take(newUuid()), { code: 'L3.1000' })
})

test('addresses freed before this process began are found', async (t) => {
  const { take, release, addRange, cloud, l3 } = await arrange(t)
  await addRange('10.1.0.1', '10.1.0.3')
  const nics = [newUuid(), newUuid(), newUuid()]
  for (const nic of nics) await take(nic)
  // Freed behind the allocator's back, as another process would.
  await cloud.context.db.write((tx) =>
    tx.run('DELETE FROM UsedIpVO WHERE l3NetworkUuid = ? AND ip = ?', [l3, '10.1.0.2']),
  )
  assert.equal((await take(newUuid())).ip, '10.1.0.2')
  await release(nics[0] ?? '')
})

test('a wanted address must be in a range and free', async (t) => {
  const { take, addRange, call, l3 } = await arrange(t)
  await addRange('10.1.0.1', '10.1.0.10')
  assert.equal((await take(newUuid(), '10.1.0.2')).ip, '10.1.0.2')
  await assert.rejects(take(newUuid(), '10.1.0.2'), { code: 'L3.1000', message: /in use by VM NIC/ })
  await assert.rejects(take(newUuid(), '10.1.0.11'), {
    code: 'L3.1000',
    message: /none of its IP ranges \(10/,
  })
  await assert.rejects(take(newUuid(), '10.1'), { code: 'SYS.1007' })
  assert.equal((await take(newUuid())).ip, '10.1.0.1')
  assert.equal((await take(newUuid())).ip, '10.1.0.3', 'the wanted one is passed over')
  const check = async (ip: string) => (await call(checkIpAvailability, { l3NetworkUuid: l3, ip })).available
  assert.deepEqual(
    [await check('10.1.0.2'), await check('10.1.0.4'), await check('10.1.0.99')],
    [false, true, false],
  )
  const { inventories } = await call(getFreeIp, { l3NetworkUuid: l3, start: '10.1.0.3', limit: 2 })
  assert.deepEqual(
    inventories.map((free: { ip: string }) => free.ip),
    ['10.1.0.4', '10.1.0.5'],
  )
})

test('a service address is chosen once and is nobody else’s; a disabled network gives none to VMs', async (t) => {
  const { take, addRange, call, cloud, l3 } = await arrange(t)
  await addRange('10.1.0.1', '10.1.0.3')
  const service = () => cloud.context.bus.call(allocateServiceIp, { l3NetworkUuid: l3, owner: 'DhcpServer' })
  const [first, second] = await Promise.all([service(), service()])
  assert.equal(first?.uuid, second?.uuid)
  assert.notEqual((await take(newUuid())).ip, first?.ip)
  await call(changeL3NetworkState, { uuid: l3, stateEvent: 'disable' })
  await assert.rejects(take(newUuid()), { code: 'L3.1000', message: /Disabled; enable it/ })
})

test('ranges of one L3 network are one subnet and overlap nothing on the same L2 network', async (t) => {
  const { addRange, call, l2, l3 } = await arrange(t)
  await addRange('10.1.0.10', '10.1.0.20', { gateway: '10.1.0.1' })
  const bad: readonly [string, string, object, RegExp][] = [
    ['10.1.0.20', '10.1.0.30', { gateway: '10.1.0.1' }, /10\.1\.0\.20-10\.1\.0\.30 overlaps range 'r'/],
    ['10.1.1.1', '10.1.1.2', {}, /gateway.*none differs from 10\.1\.0\.1/],
    ['10.2.0.1', '10.2.0.2', {}, /10\.2\.0\.0\/16 is another network than 10\.1\.0\.0\/16/],
  ]
  for (const [start, end, more, message] of bad) {
    await assert.rejects(addRange(start, end, more), { code: 'SYS.1007', message })
  }
  const other = (await call(createL3Network, { name: 'other', l2NetworkUuid: l2 })).uuid
  const overlap = { l3NetworkUuid: other, name: 'o', networkCidr: '10.1.0.0/24' }
  await assert.rejects(call(addIpRangeByNetworkCidr, overlap), {
    message: new RegExp(`L3 network\\[uuid:${l3}\\]`),
  })
  const beside = { l3NetworkUuid: other, name: 'o', networkCidr: '10.9.0.0/24', gateway: '10.9.0.100' }
  assert.equal((await call(addIpRangeByNetworkCidr, beside)).endIp, '10.9.0.99')
})

test('ranges and networks are kept while VMs use them, and go completely afterwards', async (t) => {
  const { addRange, call, cloud, l3, row, take, release } = await arrange(t)
  const range = await addRange('10.1.0.1', '10.1.0.9')
  await call(addDnsToL3Network, { l3NetworkUuid: l3, dns: '9.9.9.9' })
  await assert.rejects(call(addDnsToL3Network, { l3NetworkUuid: l3, dns: '9.9.9.9' }), { code: 'SYS.1007' })
  await assert.rejects(call(removeDnsFromL3Network, { l3NetworkUuid: l3, dns: '1.1.1.1' }), {
    code: 'SYS.1007',
  })
  const vm = await row(vmInstance, { name: 'web' })
  const nic = await row(vmNic, { vmInstanceUuid: vm, l3NetworkUuid: l3 })
  await take(nic)
  await cloud.context.bus.call(allocateServiceIp, { l3NetworkUuid: l3, owner: 'DhcpServer' })
  await assert.rejects(call(deleteIpRange, { uuid: range }), {
    code: 'SYS.1004',
    message: /1 addresses.*'web'/,
  })
  await assert.rejects(call(deleteL3Network, { uuid: l3 }), { code: 'SYS.1004', message: /'web'/ })
  await release(nic)
  await cloud.context.db.write((tx) => tx.run('DELETE FROM VmNicVO', []))
  await call(deleteL3Network, { uuid: l3 })
  for (const table of ['L3NetworkVO', 'IpRangeVO', 'UsedIpVO', 'L3NetworkDnsVO', 'WorkflowVO']) {
    assert.deepEqual(await cloud.context.db.all(`SELECT * FROM ${table}`, []), [], table)
  }
})
