import { defineResource, int, long, optional, type Row, text, timestamp } from '#contract'

export const host = defineResource({
  name: 'Host',
  className: 'org.zstack.header.host.HostInventory',
  fields: {
    zoneUuid: text('The zone.', { max: 32 }),
    name: text('Name people see.'),
    uuid: text('Uuid of the Host.', { max: 32 }),
    clusterUuid: text('The cluster.', { max: 32 }),
    description: optional(text('Free text.')),
    managementIp: text('Address of the host, reached by SSH and by the agent.'),
    hypervisorType: text('KVM or Simulator.'),
    state: text('Administrative state.'),
    status: text('What the system found.'),
    totalCpuCapacity: long('Virtual CPUs it offers: logical CPUs times the over-provisioning ratio.'),
    availableCpuCapacity: long('Virtual CPUs no VM has.'),
    cpuSockets: optional(int('CPU sockets.')),
    totalMemoryCapacity: long('Bytes of memory.'),
    availableMemoryCapacity: long('Bytes of memory no VM has.'),
    cpuNum: int('Virtual CPUs.'),
    architecture: optional(text('CPU architecture.')),
    createDate: timestamp('When it was created.'),
    lastOpDate: timestamp('When it was last changed.'),
  },
  relations: {
    zone: { to: 'ZoneInventory', column: 'zoneUuid', otherColumn: 'uuid' },
    cluster: { to: 'ClusterInventory', column: 'clusterUuid', otherColumn: 'uuid' },
    vmInstance: { to: 'VmInstanceInventory', column: 'uuid', otherColumn: 'hostUuid' },
  },
})
export type Host = Row<typeof host>
