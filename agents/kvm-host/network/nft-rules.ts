import { createHash } from 'node:crypto'
import { type FlatNames, METADATA_ADDRESS } from './flat-names.ts'
import type { FlatNetwork, Lease } from './flat-network-spec.ts'

export interface NftRules {
  /** Replaces the table in one transaction. */
  readonly text: string
  /** Name of an empty chain in the table; when it is there, the table holds exactly these rules. */
  readonly marker: string
}

/**
 * The bridge table of one flat network:
 * - nothing of the server (DHCP, its ARP, metadata) crosses the uplink, because each host has the same server;
 * - metadata requests go to the local server whatever gateway the guest believes in;
 * - the server sees a metadata request only from the MAC and address (and tap, where known) of a lease, so that no
 *   VM can read another's data by borrowing its address.
 */
export function buildNftRules(names: FlatNames, network: FlatNetwork, leases: readonly Lease[]): NftRules {
  const body = [...setLines(leases), ...chainLines(names, network)].join('\n')
  const marker = `is_${createHash('sha256').update(body).digest('hex').slice(0, 16)}`
  const table = `table bridge ${names.table}`
  // `table …` before `delete`: deleting what is not there would fail the transaction.
  const text = `${table}\ndelete ${table}\n${table} {\n${body}\n chain ${marker} {\n }\n}\n`
  return { text, marker }
}

function setLines(leases: readonly Lease[]): string[] {
  const sorted = [...leases].sort((a, b) => (a.mac < b.mac ? -1 : 1))
  const tapped = sorted.filter((lease) => lease.tap !== undefined)
  return [
    ...set(
      'macs',
      'ether_addr',
      sorted.map((l) => l.mac),
    ),
    ...set(
      'leases',
      'ether_addr . ipv4_addr',
      sorted.map((l) => `${l.mac} . ${l.ip}`),
    ),
    ...set(
      'tapped',
      'ether_addr',
      tapped.map((l) => l.mac),
    ),
    ...set(
      'taps',
      'ifname . ether_addr',
      tapped.map((l) => `"${l.tap}" . ${l.mac}`),
    ),
  ]
}

function set(name: string, type: string, elements: readonly string[]): string[] {
  const filling = elements.length === 0 ? [] : [`  elements = { ${elements.join(', ')} }`]
  return [` set ${name} {`, `  type ${type}`, ...filling, ' }']
}

function chainLines(names: FlatNames, network: FlatNetwork): string[] {
  const { physicalInterface: uplink, dhcpServerIp: server } = network
  const mac = names.serverMac
  return [
    ' chain rewrite {',
    '  type filter hook prerouting priority -300; policy accept;',
    `  iifname != "${uplink}" ether saddr @macs ip daddr ${METADATA_ADDRESS} ether daddr set ${mac}`,
    ' }',
    ' chain c_forward {',
    '  type filter hook forward priority 0; policy accept;',
    `  oifname "${uplink}" jump uplink`,
    `  iifname "${uplink}" jump uplink`,
    `  oifname "${names.port}" ip daddr ${METADATA_ADDRESS} jump metadata`,
    ' }',
    ' chain uplink {',
    `  ether saddr ${mac} drop`,
    `  ether daddr ${mac} drop`,
    '  udp sport 68 udp dport 67 drop',
    '  udp sport 67 udp dport 68 drop',
    `  arp saddr ip { ${server}, ${METADATA_ADDRESS} } drop`,
    `  arp daddr ip { ${server}, ${METADATA_ADDRESS} } drop`,
    `  ip daddr ${METADATA_ADDRESS} drop`,
    ' }',
    ' chain metadata {',
    '  ether saddr . ip saddr != @leases drop',
    '  ether saddr @tapped iifname . ether saddr != @taps drop',
    ' }',
  ]
}
