import { defineMessage } from '#contract'

/** How a network looks on the hosts. */
export interface BridgeOfNetwork {
  readonly bridge: string
  readonly physicalInterface: string
}
/** The bridge that carries an L3 network. */
export const bridgeOfL3 = defineMessage<{ l3NetworkUuid: string }, BridgeOfNetwork>('l2.bridgeOfL3')
