import {
  anything,
  bool,
  choice,
  defineApi,
  int,
  list,
  long,
  optional,
  ref,
  refs,
  text,
  unsupported,
  withDefault,
} from '#contract'

export const getFreeIp = defineApi({
  name: 'GetFreeIp',
  message: 'org.zstack.header.network.l3.APIGetFreeIpMsg',
  kind: 'sync',
  method: 'GET',
  path: '/l3-networks/ip/free',
  optionalPaths: ['/l3-networks/{l3NetworkUuid}/ip/free', '/l3-networks/ip-ranges/{ipRangeUuid}/ip/free'],
  summary: 'Addresses that are free.',
  input: {
    l3NetworkUuid: optional(ref('L3NetworkVO', 'The L3 network.')),
    ipRangeUuid: optional(ref('IpRangeVO', 'Look in this range only.')),
    start: optional(text('Lowest address to list.')),
    ipRangeType: optional(choice('Normal, or AddressPool.', ['Normal', 'AddressPool'])),
    ipVersion: optional(int('4.')),
    limit: withDefault(int('How many to list at most.', [1, 10_000]), 100),
  },
  output: {
    inventories: optional(
      list('Free addresses, lowest first.', anything('ip, netmask, gateway and ipRangeUuid.')),
    ),
  },
})

export const checkIpAvailability = defineApi({
  name: 'CheckIpAvailability',
  message: 'org.zstack.header.network.l3.APICheckIpAvailabilityMsg',
  kind: 'sync',
  method: 'GET',
  path: '/l3-networks/{l3NetworkUuid}/ip/{ip}/availability',
  summary: 'Tell whether an address is free.',
  input: {
    l3NetworkUuid: ref('L3NetworkVO', 'The L3 network.'),
    ip: text('IPv4 address.', { max: 255 }),
    arpCheck: unsupported(bool('Ask the network, too, whether somebody answers for the address.')),
    ipRangeCheck: withDefault(
      bool('Whether an address outside of every range counts as not available.'),
      true,
    ),
  },
  output: {
    available: optional(bool('True when the address is free.')),
    reason: optional(text('Why it is not available.')),
  },
})

export const getIpAddressCapacity = defineApi({
  name: 'GetIpAddressCapacity',
  message: 'org.zstack.header.network.l3.APIGetIpAddressCapacityMsg',
  kind: 'sync',
  method: 'GET',
  path: '/ip-capacity',
  summary: 'How many addresses there are and how many are free.',
  input: {
    zoneUuids: optional(refs('ZoneVO', 'Count the L3 networks of these zones.')),
    l3NetworkUuids: optional(refs('L3NetworkVO', 'Count these L3 networks.')),
    ipRangeUuids: optional(refs('IpRangeVO', 'Count these ranges.')),
    all: optional(bool('Count everything; the same as naming nothing.')),
  },
  output: {
    totalCapacity: optional(long('Addresses in the ranges.')),
    availableCapacity: optional(long('Addresses nobody has.')),
    usedIpAddressNumber: optional(long('Addresses in use, by VMs and network services.')),
    ipv4TotalCapacity: optional(long('IPv4 addresses in the ranges.')),
    ipv4AvailableCapacity: optional(long('IPv4 addresses nobody has.')),
    ipv4UsedIpAddressNumber: optional(long('IPv4 addresses in use.')),
    ipv6TotalCapacity: optional(long('IPv6 addresses in the ranges; 0.')),
    ipv6AvailableCapacity: optional(long('IPv6 addresses nobody has; 0.')),
    ipv6UsedIpAddressNumber: optional(long('IPv6 addresses in use; 0.')),
    capacityData: optional(list('The same numbers for each resource asked for.', anything('One of them.'))),
    resourceType: optional(text('What capacityData counts by: ZoneVO, L3NetworkVO or IpRangeVO.')),
  },
})
