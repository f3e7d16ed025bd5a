import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildDnsmasqConfig } from './dnsmasq-config.ts'
import type { FlatNetwork, Lease } from './flat-network-spec.ts'
import { aLease, aNetwork } from './network-fixture.ts'

function linesOf(network: FlatNetwork, leases: Lease[], word: string): string[] {
  const text = buildDnsmasqConfig(network, leases, '/state')
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${word}=`))
    .map((line) => line.slice(word.length + 1))
}

test('only the default NIC is told router, names and all routes', () => {
  const second = { ...aLease, mac: 'fa:00:00:00:00:02', ip: '10.0.0.12', isDefault: false, hostname: 'vm' }
  const network = { ...aNetwork, domain: 'zs.local', mtu: 1450 }
  assert.deepEqual(linesOf(network, [{ ...aLease, hostname: 'vm' }, second], 'dhcp-option'), [
    'option:router',
    'option:dns-server',
    'tag:default,option:router,10.0.0.1',
    'tag:default,option:dns-server,8.8.8.8',
    'tag:default,option:domain-name,zs.local',
    'option:mtu,1450',
    'tag:default,option:classless-static-route,169.254.169.254/32,10.0.0.2,0.0.0.0/0,10.0.0.1',
    'tag:metadata,option:classless-static-route,169.254.169.254/32,10.0.0.2',
    'tag:nfa0000000001,12,vm',
  ])
  assert.deepEqual(linesOf(network, [aLease, second], 'dhcp-host'), [
    'fa:00:00:00:00:01,set:nfa0000000001,set:default,10.0.0.11',
    'fa:00:00:00:00:02,set:nfa0000000002,10.0.0.12',
  ])
})

test('a further NIC with data of its own gets the route to it', () => {
  const second = { ...aLease, isDefault: false, userData: 'x' }
  assert.deepEqual(linesOf(aNetwork, [second], 'dhcp-host'), [
    'fa:00:00:00:00:01,set:nfa0000000001,set:metadata,10.0.0.11',
  ])
})

test('without gateway and name servers none are told', () => {
  const { gateway: _, ...network } = { ...aNetwork, dns: [] }
  const options = linesOf(network, [aLease], 'dhcp-option').filter((line) => /router|dns|route/.test(line))
  assert.deepEqual(options, [
    'option:router',
    'option:dns-server',
    'tag:default,option:classless-static-route,169.254.169.254/32,10.0.0.2',
    'tag:metadata,option:classless-static-route,169.254.169.254/32,10.0.0.2',
  ])
})

test('two VMs of one name do not share a DNS record', () => {
  const leases = [
    { ...aLease, hostname: 'Web' },
    { ...aLease, mac: 'fa:00:00:00:00:02', ip: '10.0.0.12', hostname: 'web' },
  ]
  assert.deepEqual(linesOf({ ...aNetwork, domain: 'zs' }, leases, 'host-record'), ['web.zs,web,10.0.0.11'])
})

test('the order leases are given in does not matter', () => {
  const second = { ...aLease, mac: 'fa:00:00:00:00:00', ip: '10.0.0.12' }
  assert.equal(
    buildDnsmasqConfig(aNetwork, [aLease, second], '/s'),
    buildDnsmasqConfig(aNetwork, [second, aLease], '/s'),
  )
})
