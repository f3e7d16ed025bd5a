import type { IpRange } from './contract/resources.ts'
import { formatAddress, invalid, parseAddress, parseCidr, type Subnet, subnetOf } from './ipv4.ts'

/** What a range is before it has a name and a row. */
export interface RangeSpec {
  readonly start: number
  readonly end: number
  readonly gateway: string | undefined
  readonly subnet: Subnet
}

// Longer prefixes leave no address beside network and broadcast; shorter ones are no network anybody has.
const PREFIX_LENGTHS = { shortest: 8, longest: 30 }

/** Checks first and last address of a range against netmask and gateway. Throws SYS.1007 naming field and reason. */
export function rangeOfAddresses(input: {
  startIp: string
  endIp: string
  netmask: string
  gateway?: string | undefined
}): RangeSpec {
  const start = parseAddress(input.startIp, 'startIp')
  const end = parseAddress(input.endIp, 'endIp')
  if (start > end) throw invalid('startIp', `${input.startIp} comes after the last address ${input.endIp}`)
  const subnet = subnetOf(start, input.netmask)
  checkSubnet(subnet, 'netmask')
  if (end > subnet.broadcast) {
    throw invalid('endIp', `${input.endIp} is not in ${cidrOf(subnet)}, the network of ${input.startIp}`)
  }
  if (start === subnet.network)
    throw invalid('startIp', `${input.startIp} is the address of the network itself`)
  if (end === subnet.broadcast) throw invalid('endIp', `${input.endIp} is the broadcast address`)
  if (input.gateway === undefined) return { start, end, gateway: undefined, subnet }
  const gateway = gatewayIn(subnet, input.gateway)
  if (gateway >= start && gateway <= end) {
    const advice = around(start, end, gateway)
    throw invalid('gateway', `${input.gateway} lies inside the range, where a VM would get it; add ${advice}`)
  }
  return { start, end, gateway: input.gateway, subnet }
}

/**
 * The ranges of a CIDR: every address but network, broadcast and gateway. The gateway is the first address unless given;
 * one in the middle splits the network in two ranges.
 */
export function rangesOfCidr(networkCidr: string, gatewayIp: string | undefined): RangeSpec[] {
  const subnet = parseCidr(networkCidr, 'networkCidr')
  checkSubnet(subnet, 'networkCidr')
  const gateway = gatewayIp === undefined ? subnet.network + 1 : gatewayIn(subnet, gatewayIp)
  const common = { gateway: formatAddress(gateway), subnet }
  const parts = [
    { start: subnet.network + 1, end: gateway - 1, ...common },
    { start: gateway + 1, end: subnet.broadcast - 1, ...common },
  ]
  return parts.filter(({ start, end }) => start <= end)
}

/**
 * Refuses a range that does not go together with those there are: `own` of the same L3 network, `neighbours` of other L3
 * networks on the same L2 network, where the same address would answer twice.
 */
export function checkAgainst(
  range: RangeSpec,
  own: readonly IpRange[],
  neighbours: readonly IpRange[],
): void {
  for (const other of [...own, ...neighbours]) {
    if (range.start > other.endLong || range.end < other.startLong) continue
    const where = own.includes(other)
      ? 'this L3 network'
      : `L3 network[uuid:${other.l3NetworkUuid}] on the same L2 network`
    const theirs = `${other.startIp}-${other.endIp}`
    throw invalid(
      'startIp',
      `${spanOf(range)} overlaps range '${other.name}'[uuid:${other.uuid}] (${theirs}) of ${where}`,
    )
  }
  const first = own[0]
  if (first === undefined) return
  if (first.networkCidr !== cidrOf(range.subnet)) {
    throw invalid(
      'netmask',
      `${cidrOf(range.subnet)} is another network than ${first.networkCidr}, which this L3 network has already; one L3 network is one subnet`,
    )
  }
  if (first.gateway !== range.gateway) {
    const has = first.gateway ?? 'none'
    throw invalid(
      'gateway',
      `${range.gateway ?? 'none'} differs from ${has}, the gateway of range '${first.name}'[uuid:${first.uuid}] of this L3 network`,
    )
  }
}

/** `10.0.0.0/24`. */
export function cidrOf(subnet: Subnet): string {
  return `${formatAddress(subnet.network)}/${subnet.prefixLength}`
}

function spanOf(range: Pick<RangeSpec, 'start' | 'end'>): string {
  return `${formatAddress(range.start)}-${formatAddress(range.end)}`
}

function around(start: number, end: number, gateway: number): string {
  const parts = [
    { start, end: gateway - 1 },
    { start: gateway + 1, end },
  ]
  const spans = parts.filter((part) => part.start <= part.end).map(spanOf)
  return spans.length === 0 ? 'a range of other addresses' : spans.join(' and ')
}

function gatewayIn(subnet: Subnet, text: string): number {
  const gateway = parseAddress(text, 'gateway')
  if (gateway < subnet.network || gateway > subnet.broadcast) {
    throw invalid('gateway', `${text} is not in ${cidrOf(subnet)}, so no VM could reach it`)
  }
  if (gateway === subnet.network) throw invalid('gateway', `${text} is the address of the network itself`)
  if (gateway === subnet.broadcast) throw invalid('gateway', `${text} is the broadcast address`)
  return gateway
}

function checkSubnet(subnet: Subnet, field: string): void {
  const { shortest, longest } = PREFIX_LENGTHS
  if (subnet.prefixLength < shortest || subnet.prefixLength > longest) {
    throw invalid(
      field,
      `gives a /${subnet.prefixLength} network; from /${shortest} to /${longest} is possible`,
    )
  }
  const firstOctet = Math.floor(subnet.network / 2 ** 24)
  const linkLocal = Math.floor(subnet.network / 2 ** 16) === 169 * 256 + 254
  if (firstOctet === 0 || firstOctet === 127 || firstOctet >= 224 || linkLocal) {
    throw invalid(field, `${cidrOf(subnet)} is reserved (this network, loopback, link-local or multicast)`)
  }
}
