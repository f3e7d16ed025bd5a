import { bool, choice, defineApi, defineQuery, inventory, optional, ref, text, withDefault } from '#contract'
import { l2Network } from './resources.ts'

export const createL2NoVlanNetwork = defineApi({
  name: 'CreateL2NoVlanNetwork',
  message: 'org.zstack.header.network.l2.APICreateL2NoVlanNetworkMsg',
  reply: 'org.zstack.header.network.l2.APICreateL2NetworkEvent',
  path: '/l2-networks/no-vlan',
  summary: 'Create an L2 network on an untagged interface.',
  input: {
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    zoneUuid: ref('ZoneVO', 'The zone.'),
    physicalInterface: text('Interface of the hosts that carries it.', { max: 1024 }),
    type: optional(text('L2NoVlanNetwork.')),
    vSwitchType: withDefault(
      choice('What switches on the hosts; LinuxBridge.', ['LinuxBridge', 'OvsDpdk', 'MacVlan']),
      'LinuxBridge',
    ),
    isolated: withDefault(bool('Whether VMs are kept apart; false.'), false),
    pvlan: optional(text('Private VLAN; not supported.', { notEmpty: true })),
  },
  output: {
    inventory: inventory(l2Network),
  },
})

export const updateL2Network = defineApi({
  name: 'UpdateL2Network',
  message: 'org.zstack.header.network.l2.APIUpdateL2NetworkMsg',
  method: 'PUT',
  path: '/l2-networks/{uuid}/actions',
  summary: 'Change name or description of an L2 network.',
  input: {
    uuid: ref('L2NetworkVO', 'Uuid of the l2-network.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
  },
  output: {
    inventory: inventory(l2Network),
  },
})

export const deleteL2Network = defineApi({
  name: 'DeleteL2Network',
  message: 'org.zstack.header.network.l2.APIDeleteL2NetworkMsg',
  method: 'DELETE',
  path: '/l2-networks/{uuid}',
  summary: 'Delete an L2 network without L3 networks.',
  input: {
    uuid: ref('L2NetworkVO', 'Uuid of the l2-network.', { successIfMissing: true }),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const queryL2Network = defineQuery({
  name: 'QueryL2Network',
  message: 'org.zstack.header.network.l2.APIQueryL2NetworkMsg',
  path: '/l2-networks',
  resource: l2Network,
})
