import { bool, defineResource, optional, type Row, text, timestamp } from '#contract'

export const zone = defineResource({
  name: 'Zone',
  className: 'org.zstack.header.zone.ZoneInventory',
  fields: {
    uuid: text('Uuid of the Zone.', { max: 32 }),
    name: text('Name people see.'),
    description: optional(text('Free text.')),
    state: text('Administrative state.'),
    type: text('zstack, the one kind of zone.'),
    isDefault: optional(bool('Whether it is taken where no zone is named.')),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
  relations: {
    vmInstance: { to: 'VmInstanceInventory', column: 'uuid', otherColumn: 'zoneUuid' },
    cluster: { to: 'ClusterInventory', column: 'uuid', otherColumn: 'zoneUuid' },
    host: { to: 'HostInventory', column: 'uuid', otherColumn: 'zoneUuid' },
    primaryStorage: { to: 'PrimaryStorageInventory', column: 'uuid', otherColumn: 'zoneUuid' },
    l2Network: { to: 'L2NetworkInventory', column: 'uuid', otherColumn: 'zoneUuid' },
    l3Network: { to: 'L3NetworkInventory', column: 'uuid', otherColumn: 'zoneUuid' },
    backupStorageRef: { to: 'BackupStorageZoneRefInventory', column: 'uuid', otherColumn: 'zoneUuid' },
  },
  aliases: { backupStorage: 'backupStorageRef.backupStorage' },
})
export type Zone = Row<typeof zone>
