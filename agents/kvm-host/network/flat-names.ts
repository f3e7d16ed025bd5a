import { createHash } from 'node:crypto'

/** How everything of one flat network on a host is called. All of it follows from the L3 network's uuid. */
export interface FlatNames {
  readonly namespace: string
  /** The host's end of the veth pair, a port of the bridge. */
  readonly port: string
  readonly table: string
  /** MAC of the server inside the namespace: the same on each host, so that a moved VM notices nothing. */
  readonly serverMac: string
  /** MAC of the host's end: high, so that no bridge adopts it as its own. */
  readonly portMac: string
}

export const METADATA_ADDRESS = '169.254.169.254'
/** The namespace's end of the veth pair. */
export const INNER = 'inner'
export const NAMESPACE_PREFIX = 'zs-'

const SHORT_LENGTH = 11

/** The part of the uuid names are built from: as much as fits the 15 characters of an interface name. */
export function shortId(l3NetworkUuid: string): string {
  return l3NetworkUuid.slice(0, SHORT_LENGTH)
}

/** Names from an L3 uuid. `namespacePrefix` differs only where several hosts share one machine's /run/netns. */
export function flatNames(l3NetworkUuid: string, namespacePrefix = NAMESPACE_PREFIX): FlatNames {
  const digest = createHash('sha256').update(l3NetworkUuid).digest('hex')
  const tail = (digest.slice(0, 10).match(/../g) ?? []).join(':')
  return {
    ...leftoverNames(shortId(l3NetworkUuid), namespacePrefix),
    serverMac: `f2:${tail}`,
    portMac: `fe:${tail}`,
  }
}

/** What can be named when only the short id is known: enough to remove leftovers. */
export function leftoverNames(short: string, namespacePrefix = NAMESPACE_PREFIX) {
  return { namespace: `${namespacePrefix}${short}`, port: `zs${short}`, table: `zs_${short}` }
}

/** The short id in a name of ours, undefined in any other name. */
export function shortIdOf(name: string, prefix: string): string | undefined {
  if (!name.startsWith(prefix)) return undefined
  const short = name.slice(prefix.length)
  return short.length === SHORT_LENGTH && /^[0-9a-f]+$/.test(short) ? short : undefined
}
