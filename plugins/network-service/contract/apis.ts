import { anything, defineApi, defineQuery, inventory, list, map, optional, ref, text } from '#contract'
import { l3Network } from '#plugins/l3-network/contract/resources.ts'
import { networkServiceL3NetworkRef, networkServiceProvider } from './resources.ts'

export const attachNetworkServiceToL3Network = defineApi({
  name: 'AttachNetworkServiceToL3Network',
  message: 'org.zstack.header.network.service.APIAttachNetworkServiceToL3NetworkMsg',
  path: '/l3-networks/{l3NetworkUuid}/network-services',
  summary: 'Let a provider serve a network: DHCP, user data.',
  input: {
    l3NetworkUuid: ref('L3NetworkVO', 'The L3 network.'),
    networkServices: map(
      'Uuid, type or name of a provider to the services it gives, { Flat: [DHCP, Userdata] }.',
      list('Services.', text('DHCP, Userdata.')),
    ),
  },
  output: {
    inventory: inventory(l3Network),
  },
})

export const detachNetworkServiceFromL3Network = defineApi({
  name: 'DetachNetworkServiceFromL3Network',
  message: 'org.zstack.header.network.service.APIDetachNetworkServiceFromL3NetworkMsg',
  method: 'DELETE',
  path: '/l3-networks/{l3NetworkUuid}/network-services',
  optionalPaths: ['/l3-networks/{l3NetworkUuid}/network-services/{service}'],
  summary: 'Take services away from a network.',
  input: {
    l3NetworkUuid: ref('L3NetworkVO', 'The L3 network.'),
    networkServices: optional(
      map('Uuid, type or name of a provider to services.', list('Services.', text('DHCP, Userdata.'))),
    ),
    service: optional(text('One service, of any provider.')),
  },
  output: {
    inventory: inventory(l3Network),
  },
})

export const queryNetworkServiceProvider = defineQuery({
  name: 'QueryNetworkServiceProvider',
  message: 'org.zstack.header.network.service.APIQueryNetworkServiceProviderMsg',
  path: '/network-services/providers',
  optionalPaths: [],
  resource: networkServiceProvider,
})

export const queryNetworkServiceL3NetworkRef = defineQuery({
  name: 'QueryNetworkServiceL3NetworkRef',
  message: 'org.zstack.header.network.service.APIQueryNetworkServiceL3NetworkRefMsg',
  path: '/l3-networks/network-services/refs',
  optionalPaths: [],
  resource: networkServiceL3NetworkRef,
})

export const getNetworkServiceTypes = defineApi({
  name: 'GetNetworkServiceTypes',
  message: 'org.zstack.header.network.service.APIGetNetworkServiceTypesMsg',
  kind: 'sync',
  method: 'GET',
  path: '/network-services/types',
  summary: 'Kinds of network services and who provides them.',
  input: {},
  output: {
    types: optional(map('Service to the types of its providers.', anything('Types of providers.'))),
  },
})
