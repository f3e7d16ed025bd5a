import { INNER, METADATA_ADDRESS } from './flat-names.ts'
import type { FlatNetwork, Lease } from './flat-network-spec.ts'
import { networkAddress } from './ipv4.ts'

/**
 * The whole configuration of one network's dnsmasq in one file. dnsmasq 2.90 crashes on SIGHUP with `set:` tags and keeps
 * refusing a re-used address, so it is never told to re-read: a changed text means a restart (14 ms, no lease is lost
 * because `dhcp-authoritative` acknowledges what the file says).
 * Everything a guest gets is an explicit option. A host name is never a word of `dhcp-host`, where `ignore` and `10m` have
 * a meaning; it is an option of the lease's own tag.
 */
export function buildDnsmasqConfig(network: FlatNetwork, leases: readonly Lease[], stateDir: string): string {
  const sorted = [...leases].sort((a, b) => (a.mac < b.mac ? -1 : 1))
  const lines = [
    ...baseLines(network, stateDir),
    ...optionLines(network),
    ...sorted.flatMap((lease) => leaseLines(lease)),
    ...nameLines(network, sorted),
  ]
  return `${lines.join('\n')}\n`
}

function baseLines(network: FlatNetwork, stateDir: string): string[] {
  const base = networkAddress(network.dhcpServerIp, network.netmask)
  return [
    `interface=${INNER}`,
    'except-interface=lo',
    'bind-interfaces',
    'no-resolv',
    'no-hosts',
    'no-poll',
    `dhcp-range=${base},static,${network.netmask},infinite`,
    'dhcp-authoritative',
    'dhcp-no-override',
    'leasefile-ro',
    'no-ping',
    'quiet-dhcp',
    // Ten thousand static leases fit; the default of 1000 does not count for much on a big host.
    'dhcp-lease-max=65536',
    `pid-file=${stateDir}/dnsmasq.pid`,
    `log-facility=${stateDir}/dnsmasq.log`,
  ]
}

/** Untagged empty options stop dnsmasq from naming itself as router and name server to NICs that are to have none. */
function optionLines(network: FlatNetwork): string[] {
  const { dhcpServerIp, gateway, dns, domain, mtu } = network
  const route = `${METADATA_ADDRESS}/32,${dhcpServerIp}`
  // A client that takes option 121 ignores option 3, so the default route is said in both.
  const defaultRoute = gateway === undefined ? '' : `,0.0.0.0/0,${gateway}`
  return [
    'dhcp-option=option:router',
    'dhcp-option=option:dns-server',
    ...(gateway === undefined ? [] : [`dhcp-option=tag:default,option:router,${gateway}`]),
    ...(dns.length === 0 ? [] : [`dhcp-option=tag:default,option:dns-server,${dns.join(',')}`]),
    ...(domain === undefined ? [] : [`dhcp-option=tag:default,option:domain-name,${domain}`]),
    ...(mtu === undefined ? [] : [`dhcp-option=option:mtu,${mtu}`]),
    `dhcp-option=tag:default,option:classless-static-route,${route}${defaultRoute}`,
    `dhcp-option=tag:metadata,option:classless-static-route,${route}`,
  ]
}

function leaseLines(lease: Lease): string[] {
  const own = `n${lease.mac.replaceAll(':', '')}`
  const wantsRoute = lease.metadata !== undefined || lease.userData !== undefined
  const tags = [own, ...(lease.isDefault ? ['default'] : wantsRoute ? ['metadata'] : [])]
  const set = tags.map((tag) => `set:${tag}`).join(',')
  const host = `dhcp-host=${lease.mac},${set},${lease.ip}`
  if (lease.hostname === undefined || !lease.isDefault) return [host]
  return [host, `dhcp-option=tag:${own},12,${lease.hostname}`]
}

/** DNS for guests that use the server as a resolver: names of the VMs on this host, nothing else is answered. */
function nameLines(network: FlatNetwork, leases: readonly Lease[]): string[] {
  const { domain } = network
  const seen = new Set<string>()
  const records: string[] = []
  for (const { hostname, ip, isDefault } of leases) {
    const name = hostname?.toLowerCase()
    if (name === undefined || !isDefault || seen.has(name)) continue
    seen.add(name)
    records.push(`host-record=${domain === undefined ? name : `${name}.${domain},${name}`},${ip}`)
  }
  return domain === undefined ? records : [`local=/${domain}/`, ...records]
}
