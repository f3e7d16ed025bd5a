import { choice, defineApi, defineQuery, inventory, list, optional, ref, text, withDefault } from '#contract'
import { ipRange } from './resources.ts'

export const addIpRange = defineApi({
  name: 'AddIpRange',
  message: 'org.zstack.header.network.l3.APIAddIpRangeMsg',
  path: '/l3-networks/{l3NetworkUuid}/ip-ranges',
  summary: 'Add a range of addresses, first to last.',
  input: {
    l3NetworkUuid: ref('L3NetworkVO', 'The L3 network.'),
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    startIp: text('First address.'),
    endIp: text('Last address.'),
    netmask: text('Netmask, 255.255.255.0.'),
    gateway: optional(text('Default gateway.')),
    ipRangeType: optional(choice('Normal: VMs get addresses from it.', ['Normal', 'AddressPool'])),
  },
  output: {
    inventory: inventory(ipRange),
  },
})

export const addIpRangeByNetworkCidr = defineApi({
  name: 'AddIpRangeByNetworkCidr',
  message: 'org.zstack.header.network.l3.APIAddIpRangeByNetworkCidrMsg',
  path: '/l3-networks/{l3NetworkUuid}/ip-ranges/by-cidr',
  summary: 'Add a range of addresses, as a CIDR.',
  input: {
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    l3NetworkUuid: ref('L3NetworkVO', 'The L3 network.'),
    networkCidr: text('Network, as 10.0.0.0/24.'),
    gateway: optional(text('Default gateway.', { max: 64 })),
    ipRangeType: optional(choice('Normal: VMs get addresses from it.', ['Normal', 'AddressPool'])),
  },
  output: {
    inventory: inventory(ipRange),
    inventories: optional(list('Result.', inventory(ipRange))),
  },
})

export const updateIpRange = defineApi({
  name: 'UpdateIpRange',
  message: 'org.zstack.header.network.l3.APIUpdateIpRangeMsg',
  method: 'PUT',
  path: '/l3-networks/ip-ranges/{uuid}/actions',
  summary: 'Change name or description of an IP range.',
  input: {
    uuid: ref('IpRangeVO', 'Uuid of the l3-network.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
  },
  output: {
    inventory: inventory(ipRange),
  },
})

export const deleteIpRange = defineApi({
  name: 'DeleteIpRange',
  message: 'org.zstack.header.network.l3.APIDeleteIpRangeMsg',
  method: 'DELETE',
  path: '/l3-networks/ip-ranges/{uuid}',
  summary: 'Remove a range no VM uses.',
  input: {
    uuid: ref('IpRangeVO', 'Uuid of the l3-network.', { successIfMissing: true }),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const queryIpRange = defineQuery({
  name: 'QueryIpRange',
  message: 'org.zstack.header.network.l3.APIQueryIpRangeMsg',
  path: '/l3-networks/ip-ranges',
  resource: ipRange,
})
