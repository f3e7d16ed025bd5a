/** Which addresses the fetch gate may connect to. Pure. */
import { BlockList, isIP, isIPv4 } from 'node:net'

/**
 * Why `address` (an IP literal) must not be connected to; undefined when it may. Multicast, link-local (the metadata services of
 * clouds live there), unspecified and reserved ranges are always refused; loopback, private and unique-local ones
 * unless `allowPrivate`. An IPv4 address in any IPv6 dress is judged as the IPv4 address.
 */
export function refusalOf(address: string, allowPrivate: boolean): string | undefined {
  const family = isIP(address)
  if (family === 0) return 'it is not an IP address'
  if (family === 6 && address.includes('%')) return 'it is bound to one link'
  const plain = family === 4 ? address : (embeddedIpv4(address) ?? address)
  const found = ranges.find((range) => range.list.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6'))
  if (found === undefined || (found.isPrivate && allowPrivate)) return undefined
  return `it is ${found.what}`
}

interface Range {
  readonly what: string
  readonly isPrivate: boolean
  readonly list: BlockList
}

const ranges: readonly Range[] = [
  range('unspecified', false, ['0.0.0.0/8', '::/128']),
  range('a loopback address', true, ['127.0.0.0/8', '::1/128']),
  range('a link-local address', false, ['169.254.0.0/16', 'fe80::/10']),
  range('a multicast address', false, ['224.0.0.0/4', 'ff00::/8']),
  range('a private address', true, ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']),
  // Of a NAT64 prefix of one's own; the well-known one is judged by the IPv4 address it stands for.
  range('a local NAT64 address', true, ['64:ff9b::/32']),
  range('a shared (carrier) address', true, ['100.64.0.0/10']),
  range('a former site-local address', true, ['fec0::/10']),
  range('a reserved address', false, ['192.0.0.0/24', '240.0.0.0/4', '100::/64', '2001::/23']),
  range('a benchmarking address', true, ['198.18.0.0/15']),
  range('a documentation address', false, [
    '192.0.2.0/24',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '2001:db8::/32',
  ]),
]

function range(what: string, isPrivate: boolean, networks: readonly string[]): Range {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    list.addSubnet(address, Number(bits), isIPv4(address) ? 'ipv4' : 'ipv6')
  }
  return { what, isPrivate, list }
}

/** The IPv4 address a mapped, compatible, translated (NAT64) or 6to4 IPv6 address stands for. */
function embeddedIpv4(address: string): string | undefined {
  const groups = groupsOf(address)
  const at = (i: number) => groups[i] ?? 0
  const zeroUpTo = (n: number) => groups.slice(0, n).every((g) => g === 0)
  const last = dotted(at(6), at(7))
  if (zeroUpTo(5) && at(5) === 0xffff) return last
  if (zeroUpTo(4) && at(4) === 0xffff && at(5) === 0) return last
  // `::` and `::1` are addresses of their own.
  if (zeroUpTo(6) && (at(6) !== 0 || at(7) > 1)) return last
  if (at(0) === 0x64 && at(1) === 0xff9b && groups.slice(2, 6).every((g) => g === 0)) return last
  if (at(0) === 0x2002) return dotted(at(1), at(2))
  return undefined
}

/** The eight 16-bit groups of an IPv6 literal. */
function groupsOf(address: string): number[] {
  // The URL parser writes every spelling in one canonical way, with a dotted tail as hex.
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const parse = (part: string) => (part === '' ? [] : part.split(':').map((g) => Number.parseInt(g, 16)))
  const front = parse(head)
  if (tail === undefined) return front
  const back = parse(tail)
  return [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back]
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}
