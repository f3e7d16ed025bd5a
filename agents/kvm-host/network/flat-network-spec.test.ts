import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkLeases, checkMac, checkNetwork, type FlatNetwork, type Lease } from './flat-network-spec.ts'
import { aLease, aNetwork } from './network-fixture.ts'

const newline = (text: string) => `${text}\ndhcp-script=/tmp/evil`

test('nothing that could end a configuration line passes', () => {
  const networks: Partial<FlatNetwork>[] = [
    { bridge: newline('br0') },
    { physicalInterface: 'eth0" accept; #' },
    { physicalInterface: newline('eth0') },
    { dhcpServerIp: newline('10.0.0.2') },
    { gateway: newline('10.0.0.1') },
    { dns: ['8.8.8.8', newline('9.9.9.9')] },
    { dns: ['8.8.8.8,option'] },
    { domain: newline('zs.local') },
    { domain: 'a/b' },
    { netmask: newline('255.255.255.0') },
    { l3NetworkUuid: '../../etc' },
  ]
  for (const change of networks) {
    assert.throws(() => checkNetwork({ ...aNetwork, ...change }), /SYS\.1007/, JSON.stringify(change))
  }
  const leases: Partial<Lease>[] = [
    { mac: newline('fa:00:00:00:00:01') },
    { ip: newline('10.0.0.11') },
    { hostname: newline('vm') },
    { hostname: 'vm,set:x' },
    { hostname: '-vm' },
    { tap: 'v" accept' },
    { vmUuid: newline(aLease.vmUuid) },
    { metadata: { '../x': 'v' } },
    { metadata: { 'a//b': 'v' } },
    { metadata: { a: 'v', 'a/b': 'w' } },
  ]
  for (const change of leases) {
    assert.throws(
      () => checkLeases(aNetwork, [{ ...aLease, ...change }]),
      /SYS\.1007/,
      JSON.stringify(change),
    )
  }
})

test('addresses must lie in the network and be free', () => {
  for (const ip of ['10.0.1.11', '10.0.0.0', '10.0.0.255', '10.0.0.2']) {
    assert.throws(() => checkLeases(aNetwork, [{ ...aLease, ip }]), /field\[leases\.ip\]/, ip)
  }
  assert.throws(
    () => checkNetwork({ ...aNetwork, gateway: '10.9.9.9' }),
    /outside of the network 10\.0\.0\.0\/24/,
  )
  const other = { ...aLease, mac: 'fa:00:00:00:00:02' }
  assert.throws(() => checkLeases(aNetwork, [aLease, other]), /names an address twice/)
  assert.throws(
    () => checkLeases(aNetwork, [aLease, { ...aLease, ip: '10.0.0.12' }]),
    /names an address twice/,
  )
})

test('MACs are compared in lower case and name one NIC', () => {
  assert.equal(checkMac('FA:00:00:00:00:0A'), 'fa:00:00:00:00:0a')
  assert.throws(() => checkMac('ff:ff:ff:ff:ff:ff'), /multicast/)
  assert.throws(() => checkMac('fa-00-00-00-00-01'), /not a MAC/)
})

test('what the contract does not know is not kept', () => {
  assert.deepEqual(checkNetwork({ ...aNetwork, stray: 1 } as FlatNetwork), aNetwork)
})
