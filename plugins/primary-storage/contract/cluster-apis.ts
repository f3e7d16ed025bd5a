import { defineApi, inventory, ref } from '#contract'
import { primaryStorage } from './resources.ts'

export const attachPrimaryStorageToCluster = defineApi({
  name: 'AttachPrimaryStorageToCluster',
  message: 'org.zstack.header.storage.primary.APIAttachPrimaryStorageToClusterMsg',
  path: '/clusters/{clusterUuid}/primary-storage/{primaryStorageUuid}',
  summary: 'Let the hosts of a cluster use a primary storage.',
  input: {
    clusterUuid: ref('ClusterVO', 'The cluster.'),
    primaryStorageUuid: ref('PrimaryStorageVO', 'The primary storage.'),
  },
  output: {
    inventory: inventory(primaryStorage),
  },
})

export const detachPrimaryStorageFromCluster = defineApi({
  name: 'DetachPrimaryStorageFromCluster',
  message: 'org.zstack.header.storage.primary.APIDetachPrimaryStorageFromClusterMsg',
  method: 'DELETE',
  path: '/clusters/{clusterUuid}/primary-storage/{primaryStorageUuid}',
  summary: 'Take a primary storage away from a cluster.',
  input: {
    primaryStorageUuid: ref('PrimaryStorageVO', 'The primary storage.'),
    clusterUuid: ref('ClusterVO', 'The cluster.'),
  },
  output: {
    inventory: inventory(primaryStorage),
  },
})
