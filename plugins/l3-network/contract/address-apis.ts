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
    ipRangeUuid: optional(ref('IpRangeVO', 'Ip range uuid.')),
    start: optional(text('Start.')),
    ipRangeType: optional(choice('Ip range type.', ['Normal', 'AddressPool'])),
    ipVersion: optional(int('Ip version.')),
    limit: withDefault(int('Limit.'), 100),
  },
  output: {
    inventories: optional(list('Inventories.', anything('Inventories.'))),
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
    arpCheck: withDefault(bool('Arp check.'), false),
    ipRangeCheck: withDefault(bool('Ip range check.'), true),
  },
  output: {
    available: optional(bool('Available.')),
    reason: optional(text('Reason.')),
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
    zoneUuids: optional(refs('ZoneVO', 'Zone uuids.')),
    l3NetworkUuids: optional(refs('L3NetworkVO', 'L3 networks, one NIC each.')),
    ipRangeUuids: optional(refs('IpRangeVO', 'Ip range uuids.')),
    all: optional(bool('All.')),
  },
  output: {
    totalCapacity: optional(long('Bytes it can hold.')),
    availableCapacity: optional(long('Bytes not promised to anybody.')),
    usedIpAddressNumber: optional(long('Used ip address number.')),
    ipv4TotalCapacity: optional(long('Ipv4 total capacity.')),
    ipv4AvailableCapacity: optional(long('Ipv4 available capacity.')),
    ipv4UsedIpAddressNumber: optional(long('Ipv4 used ip address number.')),
    ipv6TotalCapacity: optional(long('Ipv6 total capacity.')),
    ipv6AvailableCapacity: optional(long('Ipv6 available capacity.')),
    ipv6UsedIpAddressNumber: optional(long('Ipv6 used ip address number.')),
    capacityData: optional(list('Capacity data.', anything('Capacity data.'))),
    resourceType: optional(text('Kind of resource, VmInstanceVO.')),
  },
})
