import { defineApi, inventory, ref, text } from '#contract'
import { l3Network } from './resources.ts'

export const addDnsToL3Network = defineApi({
  name: 'AddDnsToL3Network',
  message: 'org.zstack.header.network.l3.APIAddDnsToL3NetworkMsg',
  path: '/l3-networks/{l3NetworkUuid}/dns',
  summary: 'Tell the VMs of a network a name server.',
  input: {
    l3NetworkUuid: ref('L3NetworkVO', 'The L3 network.'),
    dns: text('Name server.'),
  },
  output: {
    inventory: inventory(l3Network),
  },
})

export const removeDnsFromL3Network = defineApi({
  name: 'RemoveDnsFromL3Network',
  message: 'org.zstack.header.network.l3.APIRemoveDnsFromL3NetworkMsg',
  method: 'DELETE',
  path: '/l3-networks/{l3NetworkUuid}/dns/{dns}',
  summary: 'Tell the VMs of a network a name server no more.',
  input: {
    l3NetworkUuid: ref('L3NetworkVO', 'The L3 network.'),
    dns: text('Name server.'),
  },
  output: {
    inventory: inventory(l3Network),
  },
})
