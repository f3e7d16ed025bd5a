import { bool, defineResource, int, optional, type Row, text, timestamp } from '#contract'

export const l2Network = defineResource({
  name: 'L2Network',
  className: 'org.zstack.header.network.l2.L2NetworkInventory',
  fields: {
    uuid: text('Uuid of the L2Network.', { max: 32 }),
    name: text('Name people see.'),
    description: optional(text('Free text.')),
    zoneUuid: text('The zone.', { max: 32 }),
    physicalInterface: text('Interface of the hosts that carries it.'),
    type: text('L2NoVlanNetwork.'),
    vSwitchType: optional(text('Kind of switch, LinuxBridge.')),
    virtualNetworkId: optional(int('VLAN or VNI; absent for untagged networks.')),
    isolated: optional(bool('Always false.')),
    pvlan: optional(text('Private VLAN; absent.')),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
  relations: {
    zone: { to: 'ZoneInventory', column: 'zoneUuid', otherColumn: 'uuid' },
    l3Network: { to: 'L3NetworkInventory', column: 'uuid', otherColumn: 'l2NetworkUuid' },
    clusterRef: { to: 'L2NetworkClusterRefInventory', column: 'uuid', otherColumn: 'l2NetworkUuid' },
    attachedClusterUuids: {
      to: 'L2NetworkClusterRefInventory',
      column: 'uuid',
      otherColumn: 'l2NetworkUuid',
      embedded: true,
      pluck: 'clusterUuid',
    },
  },
  aliases: { cluster: 'clusterRef.cluster' },
})
export type L2Network = Row<typeof l2Network>

export const l2NetworkClusterRef = defineResource({
  name: 'L2NetworkClusterRef',
  className: 'org.zstack.header.network.l2.L2NetworkClusterRefInventory',
  primaryKey: 'l2NetworkUuid',
  fields: {
    clusterUuid: text('The cluster.', { max: 32 }),
    l2NetworkUuid: text('The L2 network.', { max: 32 }),
    l2ProviderType: optional(text('Who makes the network; absent for bridges.')),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
  relations: {
    cluster: { to: 'ClusterInventory', column: 'clusterUuid', otherColumn: 'uuid' },
    l2Network: { to: 'L2NetworkInventory', column: 'l2NetworkUuid', otherColumn: 'uuid' },
  },
})
export type L2NetworkClusterRef = Row<typeof l2NetworkClusterRef>
