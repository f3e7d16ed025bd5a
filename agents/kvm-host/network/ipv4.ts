/** IPv4 arithmetic on canonical dotted quads, strict on purpose: what passes here may be written into a config file. */

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const ADDRESS = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`)

/** True for a canonical dotted quad: no leading zeros, no white space, nothing after it. */
export function isIpv4(value: string): boolean {
  return ADDRESS.test(value)
}

/** The address as an unsigned 32-bit number. `address` must be valid. */
export function ipv4ToNumber(address: string): number {
  return address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0)
}

export function numberToIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')
}

/** Length of the prefix a netmask stands for, or undefined when it is no netmask (`255.0.255.0`). */
export function prefixLength(netmask: string): number | undefined {
  if (!isIpv4(netmask)) return undefined
  const bits = ipv4ToNumber(netmask).toString(2).padStart(32, '0')
  return /^1*0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : undefined
}

/** First address of the subnet `address` lies in. */
export function networkAddress(address: string, netmask: string): string {
  return numberToIpv4((ipv4ToNumber(address) & ipv4ToNumber(netmask)) >>> 0)
}
