import type { CallInput } from '#agent-rpc'
import { CloudError, sysErrors } from '#kernel'
import type { addFlatLeases } from '../contract/network.ts'
import { ipv4ToNumber, isIpv4, networkAddress, prefixLength } from './ipv4.ts'

/** What the management said about a network and its NICs on this host, checked. Only checked values reach a config file. */
export type Lease = CallInput<typeof addFlatLeases>['leases'][number]
export type FlatNetwork = Omit<CallInput<typeof addFlatLeases>, 'leases'>

const DEVICE = /^[\w.-]{1,15}$/
const HOSTNAME = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/
const DOMAIN =
  /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/
const METADATA_PATH = /^\w[\w.:=-]*(?:\/\w[\w.:=-]*)*$/

/** The network part of a call, checked again: the contract's patterns are the first fence, this is the second. Throws SYS.1007. */
export function checkNetwork(input: FlatNetwork): FlatNetwork {
  const { l3NetworkUuid, bridge, physicalInterface, dhcpServerIp, netmask, gateway, dns, domain, mtu } = input
  expect(/^[0-9a-f]{32}$/.test(l3NetworkUuid), 'l3NetworkUuid', 'is not a uuid', l3NetworkUuid)
  expect(DEVICE.test(bridge), 'bridge', 'is no interface name', bridge)
  expect(DEVICE.test(physicalInterface), 'physicalInterface', 'is no interface name', physicalInterface)
  expect(isIpv4(dhcpServerIp), 'dhcpServerIp', 'is not an IPv4 address', dhcpServerIp)
  const prefix = prefixLength(netmask)
  expect(prefix !== undefined && prefix >= 1 && prefix <= 30, 'netmask', 'must be of 1 to 30 bits', netmask)
  if (gateway !== undefined) expectInside(gateway, 'gateway', input)
  for (const server of dns) expect(isIpv4(server), 'dns', 'is not an IPv4 address', server)
  if (domain !== undefined) expect(DOMAIN.test(domain), 'domain', 'is not a DNS domain', domain)
  if (mtu !== undefined) expect(mtu >= 68 && mtu <= 65_535, 'mtu', 'must be 68 to 65535', String(mtu))
  // Only what is known is kept, so that a stray member never ends up on disk.
  return {
    ...{ l3NetworkUuid, bridge, physicalInterface, dhcpServerIp, netmask, dns },
    ...(gateway === undefined ? {} : { gateway }),
    ...(domain === undefined ? {} : { domain }),
    ...(mtu === undefined ? {} : { mtu }),
  }
}

/** Leases checked against their network, MACs in lower case. Throws SYS.1007, also on a MAC or address given twice. */
export function checkLeases(network: FlatNetwork, leases: readonly Lease[]): Lease[] {
  const taken = new Set<string>()
  return leases.map((lease) => {
    const checked = { ...lease, mac: checkMac(lease.mac) }
    expect(/^[0-9a-f]{32}$/.test(lease.vmUuid), 'leases.vmUuid', 'is not a uuid', lease.vmUuid)
    expectInside(lease.ip, 'leases.ip', network)
    expect(lease.ip !== network.dhcpServerIp, 'leases.ip', 'is the address of the DHCP server', lease.ip)
    if (lease.hostname !== undefined)
      expect(HOSTNAME.test(lease.hostname), 'leases.hostname', 'is not a host name', lease.hostname)
    if (lease.tap !== undefined)
      expect(DEVICE.test(lease.tap), 'leases.tap', 'is no interface name', lease.tap)
    checkMetadataPaths(Object.keys(lease.metadata ?? {}))
    for (const what of [checked.mac, checked.ip]) {
      expect(!taken.has(what), 'leases', 'names an address twice', what)
      taken.add(what)
    }
    return checked
  })
}

/** A MAC address in lower case. Throws SYS.1007. */
export function checkMac(mac: string): string {
  const lower = mac.toLowerCase()
  expect(MAC.test(lower), 'mac', 'is not a MAC address', mac)
  // An odd first octet is a multicast address, which no NIC can have.
  expect(Number.parseInt(lower.slice(0, 2), 16) % 2 === 0, 'mac', 'is a multicast MAC address', mac)
  return lower
}

function checkMetadataPaths(paths: readonly string[]): void {
  const all = new Set(paths)
  for (const path of paths) {
    expect(METADATA_PATH.test(path), 'leases.metadata', 'is no path of words joined by /', path)
    const parents = path.split('/').map((_, i, words) => words.slice(0, i).join('/'))
    const clash = parents.find((parent) => all.has(parent))
    expect(clash === undefined, 'leases.metadata', `lies below ${clash}, which is a value itself`, path)
  }
}

function expectInside(address: string, field: string, network: FlatNetwork): void {
  expect(isIpv4(address), field, 'is not an IPv4 address', address)
  const { dhcpServerIp, netmask } = network
  const base = networkAddress(dhcpServerIp, netmask)
  const inside = networkAddress(address, netmask) === base
  expect(inside, field, `is outside of the network ${base}/${prefixLength(netmask)}`, address)
  const host = (ipv4ToNumber(address) & ~ipv4ToNumber(netmask)) >>> 0
  const last = ~ipv4ToNumber(netmask) >>> 0
  expect(host !== 0 && host !== last, field, 'is the network or broadcast address', address)
}

function expect(condition: boolean, field: string, reason: string, value: string): void {
  if (condition) return
  const shown = JSON.stringify(value.slice(0, 100))
  throw new CloudError(sysErrors.invalidArgument, `field[${field}] ${reason}: ${shown}`, {
    opaque: { field },
  })
}
