import { bool, defineResource, int, optional, type Resource, secret, text } from '#contract'
import type { Migration } from '#db'

/** A few related resources, as plugins declare them: a chain, a subclass, hidden and secret fields, embedded collections. */

export const zone = defineResource({
  name: 'Zone',
  className: 'x.Zone',
  fields: { uuid: text('u'), name: text('n') },
  relations: { cluster: { to: 'ClusterInventory', column: 'uuid', otherColumn: 'zoneUuid' } },
})
export const cluster = defineResource({
  name: 'Cluster',
  className: 'x.Cluster',
  fields: { uuid: text('u'), name: text('n'), zoneUuid: text('z'), internal: optional(text('i')) },
  hidden: ['internal'],
  relations: {
    zone: { to: 'ZoneInventory', column: 'zoneUuid', otherColumn: 'uuid' },
    host: { to: 'HostInventory', column: 'uuid', otherColumn: 'clusterUuid' },
    hostUuids: {
      to: 'HostInventory',
      column: 'uuid',
      otherColumn: 'clusterUuid',
      embedded: true,
      pluck: 'uuid',
    },
    absent: { to: 'NotLoadedInventory', column: 'uuid', otherColumn: 'x' },
  },
})
export const host: Resource = defineResource({
  name: 'Host',
  className: 'x.Host',
  fields: {
    uuid: text('u'),
    name: text('n'),
    type: text('t'),
    size: optional(int('s')),
    on: bool('o'),
    clusterUuid: text('c'),
    internal: optional(text('i')),
  },
  hidden: ['internal'],
  relations: {
    cluster: { to: 'ClusterInventory', column: 'clusterUuid', otherColumn: 'uuid' },
    vm: { to: 'VmInventory', column: 'uuid', otherColumn: 'hostUuid' },
    vms: { to: 'VmInventory', column: 'uuid', otherColumn: 'hostUuid', embedded: true },
  },
  aliases: { zone: 'cluster.zone' },
})
export const kvmHost: Resource = defineResource({
  name: 'KvmHost',
  className: 'x.KvmHost',
  parent: { resource: host, typeColumn: 'type', type: 'KVM' },
  fields: { uuid: text('u'), cores: int('c'), password: secret(text('p')), imageUuid: optional(text('z')) },
  relations: { bootZone: { to: 'ZoneInventory', column: 'imageUuid', otherColumn: 'uuid' } },
})
export const vm = defineResource({
  name: 'Vm',
  className: 'x.Vm',
  fields: { uuid: text('u'), name: text('n'), hostUuid: optional(text('h')), size: optional(int('s')) },
  relations: {
    host: { to: 'HostInventory', column: 'hostUuid', otherColumn: 'uuid' },
    kvm: { to: 'KvmHostInventory', column: 'hostUuid', otherColumn: 'uuid' },
  },
  aliases: { node: 'host' },
})
const tagFields = { uuid: text('u'), resourceUuid: text('r'), tag: text('t') }
const userTag = defineResource({ name: 'UserTag', className: 'x.UserTag', fields: tagFields })
const systemTag = defineResource({ name: 'SystemTag', className: 'x.SystemTag', fields: tagFields })

export const resources: readonly Resource[] = [zone, cluster, host, kvmHost, vm, userTag, systemTag]

const tagColumns = { uuid: 'uuid', resourceUuid: 'uuid', tag: 'string' } as const

export const smallCloud: Migration = {
  id: '0001-small-cloud',
  create: [
    { name: 'ZoneVO', columns: { uuid: 'uuid', name: 'string' }, primaryKey: ['uuid'], indexes: [['name']] },
    {
      name: 'ClusterVO',
      columns: { uuid: 'uuid', name: 'string', zoneUuid: 'uuid', internal: 'string?' },
      primaryKey: ['uuid'],
      indexes: [['zoneUuid']],
    },
    {
      name: 'HostVO',
      columns: {
        uuid: 'uuid',
        name: 'string',
        type: 'word',
        size: 'int?',
        on: 'boolean',
        clusterUuid: 'uuid',
        internal: 'string?',
      },
      primaryKey: ['uuid'],
      indexes: [['clusterUuid'], ['name']],
    },
    {
      name: 'KvmHostVO',
      columns: { uuid: 'uuid', cores: 'int', password: 'string', imageUuid: 'uuid?' },
      primaryKey: ['uuid'],
    },
    {
      name: 'VmVO',
      columns: { uuid: 'uuid', name: 'string', hostUuid: 'uuid?', size: 'int?' },
      primaryKey: ['uuid'],
      indexes: [['hostUuid'], ['name']],
    },
    { name: 'UserTagVO', columns: tagColumns, primaryKey: ['uuid'], indexes: [['resourceUuid'], ['tag']] },
    { name: 'SystemTagVO', columns: tagColumns, primaryKey: ['uuid'], indexes: [['resourceUuid'], ['tag']] },
  ],
}
