import { defineResource, optional, type Row, text, timestamp } from '#contract'

export const cluster = defineResource({
  name: 'Cluster',
  className: 'org.zstack.header.cluster.ClusterInventory',
  fields: {
    name: text('Name people see.'),
    uuid: text('Uuid of the Cluster.', { max: 32 }),
    description: optional(text('Free text.')),
    state: text('Administrative state.'),
    hypervisorType: text('KVM or Simulator.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
    zoneUuid: text('The zone.', { max: 32 }),
    type: text('zstack, the one kind of cluster.'),
    architecture: optional(text('CPU architecture.')),
  },
  relations: {
    zone: { to: 'ZoneInventory', column: 'zoneUuid', otherColumn: 'uuid' },
    host: { to: 'HostInventory', column: 'uuid', otherColumn: 'clusterUuid' },
    vmInstance: { to: 'VmInstanceInventory', column: 'uuid', otherColumn: 'clusterUuid' },
    l2NetworkRef: { to: 'L2NetworkClusterRefInventory', column: 'uuid', otherColumn: 'clusterUuid' },
    l2VlanNetworkRef: { to: 'L2NetworkClusterRefInventory', column: 'uuid', otherColumn: 'clusterUuid' },
    primaryStorageRef: {
      to: 'PrimaryStorageClusterRefInventory',
      column: 'uuid',
      otherColumn: 'clusterUuid',
    },
  },
  aliases: {
    l2Network: 'l2NetworkRef.l2Network',
    l2VlanNetwork: 'l2VlanNetworkRef.l2Network',
    primaryStorage: 'primaryStorageRef.primaryStorage',
  },
})
export type Cluster = Row<typeof cluster>
