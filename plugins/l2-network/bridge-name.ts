import { createHash } from 'node:crypto'
import type { BridgeOfNetwork } from './contract/messages.ts'
import type { L2Network } from './contract/resources.ts'

// What Linux allows for the name of an interface.
const MAX_NAME = 15
const PREFIX = 'br_'

/** The bridge of an interface, `br_eth0`. A longer name is replaced by its hash, so that it is the same on each host. */
export function bridgeName(physicalInterface: string): string {
  const name = `${PREFIX}${physicalInterface}`
  if (name.length <= MAX_NAME) return name
  const hash = createHash('sha256').update(physicalInterface).digest('hex')
  return `${PREFIX}${hash}`.slice(0, MAX_NAME)
}

/** How a network looks on the hosts. */
export function bridgeOf(network: Pick<L2Network, 'physicalInterface'>): BridgeOfNetwork {
  const { physicalInterface } = network
  return { bridge: bridgeName(physicalInterface), physicalInterface }
}
