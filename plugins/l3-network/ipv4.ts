import ipaddr from 'ipaddr.js'
import { CloudError, sysErrors } from '#kernel'

/** Addresses of IPv4 as numbers, so that ranges are comparisons. */
export interface Subnet {
  readonly network: number
  readonly broadcast: number
  readonly prefixLength: number
  readonly netmask: string
}

/** Turns `10.0.0.1` into a number. Throws SYS.1007 naming the field; accepts nothing but four decimal parts. */
export function parseAddress(text: string, field: string): number {
  if (!ipaddr.IPv4.isValidFourPartDecimal(text)) {
    throw invalid(field, `'${text}' is not an IPv4 address, expected four numbers as in 10.0.0.1`)
  }
  return ipaddr.IPv4.parse(text).octets.reduce((sum, octet) => sum * 256 + octet, 0)
}

/** Turns a number into `10.0.0.1`. */
export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}

/** The subnet of `address` under a netmask such as `255.255.255.0`. Throws SYS.1007 on a mask with holes. */
export function subnetOf(address: number, netmask: string): Subnet {
  parseAddress(netmask, 'netmask')
  const prefixLength = ipaddr.IPv4.parse(netmask).prefixLengthFromSubnetMask()
  if (prefixLength === null) throw invalid('netmask', `'${netmask}' is no netmask: its one bits have holes`)
  return subnetOfPrefix(address, prefixLength)
}

/** The subnet of a CIDR such as `10.0.0.0/24`. Throws SYS.1007 when host bits are set, telling the right spelling. */
export function parseCidr(cidr: string, field: string): Subnet {
  const match = /^([\d.]+)\/(\d{1,2})$/.exec(cidr)
  if (match === null || Number(match[2]) > 32) {
    throw invalid(field, `'${cidr}' is not a CIDR, expected a form like 10.0.0.0/24`)
  }
  const address = parseAddress(match[1] ?? '', field)
  const subnet = subnetOfPrefix(address, Number(match[2]))
  if (subnet.network === address) return subnet
  const meant = `${formatAddress(subnet.network)}/${subnet.prefixLength}`
  throw invalid(field, `'${cidr}' is an address inside a network; the network is ${meant}`)
}

function subnetOfPrefix(address: number, prefixLength: number): Subnet {
  const size = 2 ** (32 - prefixLength)
  const network = address - (address % size)
  const netmask = ipaddr.IPv4.subnetMaskFromPrefixLength(prefixLength).toString()
  return { network, broadcast: network + size - 1, prefixLength, netmask }
}

/** The error for a bad field. */
export function invalid(field: string, reason: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `field[${field}] ${reason}`, { opaque: { field } })
}
