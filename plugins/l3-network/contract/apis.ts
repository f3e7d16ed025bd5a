import {
  bool,
  choice,
  defineApi,
  defineQuery,
  int,
  inventory,
  optional,
  ref,
  text,
  withDefault,
} from '#contract'
import { l3Network } from './resources.ts'

export const createL3Network = defineApi({
  name: 'CreateL3Network',
  message: 'org.zstack.header.network.l3.APICreateL3NetworkMsg',
  path: '/l3-networks',
  summary: 'Create an L3 network on an L2 network.',
  input: {
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    type: withDefault(text('L3BasicNetwork.'), 'L3BasicNetwork'),
    l2NetworkUuid: ref('L2NetworkVO', 'The L2 network.'),
    category: withDefault(choice('What the network is for.', ['Public', 'Private', 'System']), 'Private'),
    ipVersion: optional(int('4.')),
    system: optional(bool('Made by the system for itself.')),
    dnsDomain: optional(text('Domain told to guests.')),
    enableIPAM: withDefault(bool('Whether the cloud gives out addresses; true.'), true),
  },
  output: {
    inventory: inventory(l3Network),
  },
})

export const updateL3Network = defineApi({
  name: 'UpdateL3Network',
  message: 'org.zstack.header.network.l3.APIUpdateL3NetworkMsg',
  method: 'PUT',
  path: '/l3-networks/{uuid}/actions',
  summary: 'Change name, description or domain of an L3 network.',
  input: {
    uuid: ref('L3NetworkVO', 'Uuid of the l3-network.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
    dnsDomain: optional(text('Domain told to guests; empty, none.', { max: 255 })),
    category: optional(
      choice('Public, Private or System; told, not enforced.', ['Public', 'Private', 'System']),
    ),
    system: optional(bool('Made by the system for itself.')),
  },
  output: {
    inventory: inventory(l3Network),
  },
})

export const changeL3NetworkState = defineApi({
  name: 'ChangeL3NetworkState',
  message: 'org.zstack.header.network.l3.APIChangeL3NetworkStateMsg',
  method: 'PUT',
  path: '/l3-networks/{uuid}/actions',
  summary: 'Enable or disable an L3 network.',
  input: {
    uuid: ref('L3NetworkVO', 'Uuid of the l3-network.'),
    stateEvent: choice('What to do with the state.', ['enable', 'disable']),
  },
  output: {
    inventory: inventory(l3Network),
  },
})

export const deleteL3Network = defineApi({
  name: 'DeleteL3Network',
  message: 'org.zstack.header.network.l3.APIDeleteL3NetworkMsg',
  method: 'DELETE',
  path: '/l3-networks/{uuid}',
  summary: 'Delete an L3 network without VMs.',
  input: {
    uuid: ref('L3NetworkVO', 'Uuid of the l3-network.', { successIfMissing: true }),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const queryL3Network = defineQuery({
  name: 'QueryL3Network',
  message: 'org.zstack.header.network.l3.APIQueryL3NetworkMsg',
  path: '/l3-networks',
  resource: l3Network,
})
