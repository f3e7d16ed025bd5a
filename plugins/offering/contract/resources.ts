import { defineResource, int, long, optional, type Row, text, timestamp } from '#contract'

export const instanceOffering = defineResource({
  name: 'InstanceOffering',
  className: 'org.zstack.header.configuration.InstanceOfferingInventory',
  fields: {
    uuid: text('Uuid of the InstanceOffering.', { max: 32 }),
    name: text('Name people see.'),
    description: optional(text('Free text.')),
    cpuNum: int('Virtual CPUs.'),
    cpuSpeed: optional(int('Share of CPU.')),
    memorySize: long('Memory in bytes.'),
    reservedMemorySize: optional(long('Bytes of memory that are always backed; kept, not enforced.')),
    type: text('UserVm for instance offerings, zstack for disk offerings.'),
    allocatorStrategy: optional(text('How a host is chosen.')),
    sortKey: int('Order in lists.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
    state: text('Administrative state.'),
  },
  relations: {
    vmInstance: { to: 'VmInstanceInventory', column: 'uuid', otherColumn: 'instanceOfferingUuid' },
  },
})
export type InstanceOffering = Row<typeof instanceOffering>

export const diskOffering = defineResource({
  name: 'DiskOffering',
  className: 'org.zstack.header.configuration.DiskOfferingInventory',
  fields: {
    uuid: text('Uuid of the DiskOffering.', { max: 32 }),
    name: text('Name people see.'),
    description: optional(text('Free text.')),
    diskSize: long('Size in bytes.'),
    sortKey: int('Order in lists.'),
    state: text('Administrative state.'),
    type: text('UserVm for instance offerings, zstack for disk offerings.'),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
    allocatorStrategy: optional(text('How a host is chosen.')),
  },
  relations: {
    volume: { to: 'VolumeInventory', column: 'uuid', otherColumn: 'diskOfferingUuid' },
  },
})
export type DiskOffering = Row<typeof diskOffering>
