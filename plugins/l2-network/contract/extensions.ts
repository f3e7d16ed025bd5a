import { defineHook } from '#plugin-host'
import type { Host } from '#plugins/host/contract/resources.ts'
import type { L2Network } from './resources.ts'

/** Observes L2 networks. */
export interface L2Hook {
  /** The network's bridge is about to go from these hosts, which can be reached: remove what hangs on it. May be repeated. */
  leaving?(network: L2Network, hosts: readonly Host[]): Promise<void>
  /** The same for hosts that are away: have it removed when they are back. */
  left?(network: L2Network, hosts: readonly Host[]): Promise<void>
}

export const l2Hook = defineHook<L2Hook>('l2')
