import { defineMessage } from '#contract'
import type { UsedIp } from './resources.ts'

/** Takes a free address (or `ip` when given) of a network for a NIC. A repeat for the same NIC returns the same address. */
export const allocateIp = defineMessage<
  { l3NetworkUuid: string; vmNicUuid: string; ip?: string | undefined },
  UsedIp
>('l3.allocateIp')

/** Gives back every address of a NIC. None is fine. */
export const releaseIp = defineMessage<{ vmNicUuid: string }, void>('l3.releaseIp')

/**
 * An address that a network service keeps for itself in a network, chosen once and kept: the DHCP server's. `owner` tells
 * services apart. A repeat returns the same address.
 */
export const allocateServiceIp = defineMessage<{ l3NetworkUuid: string; owner: string }, UsedIp>(
  'l3.allocateServiceIp',
)
