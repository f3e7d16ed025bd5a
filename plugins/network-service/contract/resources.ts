import { defineResource, optional, type Row, text, timestamp } from '#contract'

export const networkServiceProvider = defineResource({
  name: 'NetworkServiceProvider',
  className: 'org.zstack.header.network.service.NetworkServiceProviderInventory',
  fields: {
    uuid: text('Uuid of the NetworkServiceProvider.', { max: 32 }),
    name: text('Name people see.'),
    description: optional(text('Free text.')),
    type: text('Kind, such as Flat or DHCP.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
  relations: {
    networkServiceTypes: {
      to: 'NetworkServiceTypeInventory',
      column: 'uuid',
      otherColumn: 'networkServiceProviderUuid',
      embedded: true,
      pluck: 'type',
    },
    attachedL2NetworkUuids: {
      to: 'NetworkServiceProviderL2NetworkRefInventory',
      column: 'uuid',
      otherColumn: 'networkServiceProviderUuid',
      embedded: true,
      pluck: 'l2NetworkUuid',
    },
  },
})
export type NetworkServiceProvider = Row<typeof networkServiceProvider>

export const networkServiceType = defineResource({
  name: 'NetworkServiceType',
  className: 'org.zstack.header.network.service.NetworkServiceTypeInventory',
  primaryKey: 'networkServiceProviderUuid',
  fields: {
    networkServiceProviderUuid: text('The provider.', { max: 32 }),
    type: text('Kind, such as Flat or DHCP.'),
  },
})
export type NetworkServiceType = Row<typeof networkServiceType>

export const networkServiceProviderL2NetworkRef = defineResource({
  name: 'NetworkServiceProviderL2NetworkRef',
  className: 'org.zstack.header.network.service.NetworkServiceProviderL2NetworkRefInventory',
  primaryKey: 'networkServiceProviderUuid',
  fields: {
    networkServiceProviderUuid: text('The provider.', { max: 32 }),
    l2NetworkUuid: text('The L2 network.', { max: 32 }),
  },
})
export type NetworkServiceProviderL2NetworkRef = Row<typeof networkServiceProviderL2NetworkRef>

export const networkServiceL3NetworkRef = defineResource({
  name: 'NetworkServiceL3NetworkRef',
  className: 'org.zstack.header.network.service.NetworkServiceL3NetworkRefInventory',
  primaryKey: 'l3NetworkUuid',
  fields: {
    l3NetworkUuid: text('The L3 network.', { max: 32 }),
    networkServiceProviderUuid: text('The provider.', { max: 32 }),
    networkServiceType: text('The service, DHCP.'),
  },
  relations: {
    l3Network: { to: 'L3NetworkInventory', column: 'l3NetworkUuid', otherColumn: 'uuid' },
    serviceProvider: {
      to: 'NetworkServiceProviderInventory',
      column: 'networkServiceProviderUuid',
      otherColumn: 'uuid',
    },
  },
})
export type NetworkServiceL3NetworkRef = Row<typeof networkServiceL3NetworkRef>
