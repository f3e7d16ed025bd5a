import { choice, defineApi, defineQuery, inventory, optional, ref, text, withDefault } from '#contract'
import { cluster } from './resources.ts'

export const createCluster = defineApi({
  name: 'CreateCluster',
  message: 'org.zstack.header.cluster.APICreateClusterMsg',
  path: '/clusters',
  summary: 'Create a cluster, a group of like hosts.',
  input: {
    zoneUuid: ref('ZoneVO', 'The zone.'),
    name: text('Name people see.', { max: 255 }),
    description: optional(text('Free text.')),
    hypervisorType: choice('KVM or Simulator.', ['KVM', 'Simulator', 'baremetal', 'baremetal2', 'xdragon']),
    type: optional(choice('zstack, the one kind of cluster.', ['zstack', 'baremetal', 'baremetal2'])),
    architecture: optional(choice('CPU architecture.', ['x86_64', 'aarch64', 'mips64el', 'loongarch64'])),
  },
  output: {
    inventory: inventory(cluster),
  },
})

export const updateCluster = defineApi({
  name: 'UpdateCluster',
  message: 'org.zstack.header.cluster.APIUpdateClusterMsg',
  method: 'PUT',
  path: '/clusters/{uuid}/actions',
  summary: 'Change name or description of a cluster.',
  input: {
    uuid: ref('ClusterVO', 'Uuid of the cluster.'),
    name: optional(text('Name people see.', { max: 255 })),
    description: optional(text('Free text.')),
  },
  output: {
    inventory: inventory(cluster),
  },
})

export const changeClusterState = defineApi({
  name: 'ChangeClusterState',
  message: 'org.zstack.header.cluster.APIChangeClusterStateMsg',
  method: 'PUT',
  path: '/clusters/{uuid}/actions',
  summary: 'Enable or disable a cluster.',
  input: {
    uuid: ref('ClusterVO', 'Uuid of the cluster.'),
    stateEvent: choice('What to do with the state.', ['enable', 'disable']),
  },
  output: {
    inventory: inventory(cluster),
  },
})

export const deleteCluster = defineApi({
  name: 'DeleteCluster',
  message: 'org.zstack.header.cluster.APIDeleteClusterMsg',
  method: 'DELETE',
  path: '/clusters/{uuid}',
  summary: 'Delete a cluster without hosts.',
  input: {
    uuid: ref('ClusterVO', 'Uuid of the cluster.', { successIfMissing: true }),
    deleteMode: withDefault(
      text('Permissive, or Enforcing to go on where checks would refuse.'),
      'Permissive',
    ),
  },
})

export const queryCluster = defineQuery({
  name: 'QueryCluster',
  message: 'org.zstack.header.cluster.APIQueryClusterMsg',
  path: '/clusters',
  resource: cluster,
})
