import { choice, defineApi, inventory, optional, ref } from '#contract'
import { l2Network } from './resources.ts'

export const attachL2NetworkToCluster = defineApi({
  name: 'AttachL2NetworkToCluster',
  message: 'org.zstack.header.network.l2.APIAttachL2NetworkToClusterMsg',
  path: '/l2-networks/{l2NetworkUuid}/clusters/{clusterUuid}',
  parameterName: 'null',
  summary: 'Bring an L2 network to the hosts of a cluster.',
  input: {
    l2NetworkUuid: ref('L2NetworkVO', 'The L2 network.'),
    clusterUuid: ref('ClusterVO', 'The cluster.'),
    l2ProviderType: optional(choice('What switches on the hosts.', ['LinuxBridge'])),
  },
  output: {
    inventory: inventory(l2Network),
  },
})

export const detachL2NetworkFromCluster = defineApi({
  name: 'DetachL2NetworkFromCluster',
  message: 'org.zstack.header.network.l2.APIDetachL2NetworkFromClusterMsg',
  method: 'DELETE',
  path: '/l2-networks/{l2NetworkUuid}/clusters/{clusterUuid}',
  summary: 'Take an L2 network away from a cluster.',
  input: {
    l2NetworkUuid: ref('L2NetworkVO', 'The L2 network.'),
    clusterUuid: ref('ClusterVO', 'The cluster.'),
  },
  output: {
    inventory: inventory(l2Network),
  },
})
