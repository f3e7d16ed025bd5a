import { bool, defineResource, int, long, optional, type Row, text, timestamp } from '#contract'

export const l3Network = defineResource({
  name: 'L3Network',
  className: 'org.zstack.header.network.l3.L3NetworkInventory',
  fields: {
    uuid: text('Uuid of the L3Network.', { max: 32 }),
    name: text('Name people see.'),
    description: optional(text('Free text.')),
    type: text('L3BasicNetwork.'),
    zoneUuid: text('The zone.', { max: 32 }),
    l2NetworkUuid: text('The L2 network.', { max: 32 }),
    state: text('Administrative state.'),
    dnsDomain: optional(text('DNS domain of its VMs.')),
    system: bool('Made by the system for itself.'),
    category: optional(text('Public, Private or System; told, not enforced.')),
    ipVersion: int('4.'),
    enableIPAM: optional(bool('Whether the cloud gives out its addresses.')),
    isolated: optional(bool('Always false.')),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
  relations: {
    zone: { to: 'ZoneInventory', column: 'zoneUuid', otherColumn: 'uuid' },
    l2Network: { to: 'L2NetworkInventory', column: 'l2NetworkUuid', otherColumn: 'uuid' },
    vmNic: { to: 'VmNicInventory', column: 'uuid', otherColumn: 'l3NetworkUuid' },
    serviceProviderRef: {
      to: 'NetworkServiceL3NetworkRefInventory',
      column: 'uuid',
      otherColumn: 'l3NetworkUuid',
    },
    usedIp: { to: 'UsedIpInventory', column: 'uuid', otherColumn: 'l3NetworkUuid' },
    dns: {
      to: 'L3NetworkDnsInventory',
      column: 'uuid',
      otherColumn: 'l3NetworkUuid',
      embedded: true,
      pluck: 'dns',
    },
    ipRanges: { to: 'IpRangeInventory', column: 'uuid', otherColumn: 'l3NetworkUuid', embedded: true },
    networkServices: {
      to: 'NetworkServiceL3NetworkRefInventory',
      column: 'uuid',
      otherColumn: 'l3NetworkUuid',
      embedded: true,
    },
  },
  aliases: { serviceProvider: 'serviceProviderRef.serviceProvider' },
})
export type L3Network = Row<typeof l3Network>

export const l3NetworkDns = defineResource({
  name: 'L3NetworkDns',
  className: 'org.zstack.header.network.l3.L3NetworkDnsInventory',
  primaryKey: 'l3NetworkUuid',
  fields: {
    l3NetworkUuid: text('The L3 network.', { max: 32 }),
    dns: text('Name server.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
})
export type L3NetworkDns = Row<typeof l3NetworkDns>

export const ipRange = defineResource({
  name: 'IpRange',
  className: 'org.zstack.header.network.l3.IpRangeInventory',
  hidden: ['startLong', 'endLong'],
  fields: {
    uuid: text('Uuid of the IpRange.', { max: 32 }),
    l3NetworkUuid: text('The L3 network.', { max: 32 }),
    name: text('Name people see.'),
    description: optional(text('Free text.')),
    startIp: text('First address.'),
    endIp: text('Last address.'),
    netmask: text('Netmask, 255.255.255.0.'),
    gateway: optional(text('Default gateway.')),
    networkCidr: text('Network, as 10.0.0.0/24.'),
    ipVersion: int('4.'),
    addressMode: optional(text('IPv6 only; absent.')),
    prefixLen: int('Length of the network prefix.'),
    ipRangeType: optional(text('Normal, or AddressPool.')),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
    startLong: long('First address as a number.'),
    endLong: long('Last address as a number.'),
  },
  relations: {
    l3Network: { to: 'L3NetworkInventory', column: 'l3NetworkUuid', otherColumn: 'uuid' },
  },
})
export type IpRange = Row<typeof ipRange>

export const usedIp = defineResource({
  name: 'UsedIp',
  className: 'org.zstack.header.network.l3.UsedIpInventory',
  hidden: ['metaData'],
  fields: {
    uuid: text('Uuid of the UsedIp.', { max: 32 }),
    ipRangeUuid: text('The range.', { max: 32 }),
    l3NetworkUuid: text('The L3 network.', { max: 32 }),
    ipVersion: int('4.'),
    ip: text('IPv4 address.'),
    netmask: optional(text('Netmask, 255.255.255.0.')),
    gateway: optional(text('Default gateway.')),
    usedFor: optional(text('Service that keeps the address for itself.')),
    ipInLong: long('The address as a number.'),
    vmNicUuid: optional(text('The NIC.', { max: 32 })),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
    metaData: optional(text('Absent.')),
  },
  relations: {
    l3Network: { to: 'L3NetworkInventory', column: 'l3NetworkUuid', otherColumn: 'uuid' },
    vmNic: { to: 'VmNicInventory', column: 'vmNicUuid', otherColumn: 'uuid' },
  },
})
export type UsedIp = Row<typeof usedIp>
