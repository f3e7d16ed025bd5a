import type { SimulatedHost } from '#agents/simulator/kvm-host.ts'
import { type Place, simulatedHost, type TestCloud } from '#testkit'

/** Something wrong, how it comes about, and what the auditor must say. */
export interface Fault {
  readonly what: string
  readonly says: RegExp
  /** Statements that make it; `{name}` is a uuid of the arrangement. */
  readonly sql?: readonly string[]
  readonly world?: (host: SimulatedHost, place: Place, cloud: TestCloud) => unknown
}

const anyUuid = 'e'.repeat(12) + '4'.repeat(20)

/** The row of a table again, with some columns changed. */
const twin = (table: string, where: string, changes: Readonly<Record<string, string>>): readonly string[] => [
  `CREATE TABLE Twin AS SELECT * FROM ${table} WHERE ${where}`,
  `UPDATE Twin SET ${Object.entries(changes).map(([column, value]) => `${column} = ${value}`)}`,
  `INSERT INTO ${table} SELECT * FROM Twin`,
  'DROP TABLE Twin',
]

export const faultsInBooks: readonly Fault[] = [
  {
    what: 'a VM left in a transient state',
    says: /is left Starting/,
    sql: ["UPDATE VmInstanceVO SET state = 'Starting' WHERE uuid = '{vm}'"],
  },
  {
    what: 'a volume left in a transient state',
    says: /is left Creating/,
    sql: ["UPDATE VolumeVO SET status = 'Creating' WHERE uuid = '{spare}'"],
  },
  {
    what: 'a host left in a transient state',
    says: /is left Connecting/,
    sql: ["UPDATE HostVO SET status = 'Connecting' WHERE uuid = '{host}'"],
  },
  {
    what: 'a VM nobody knows the state of',
    says: /is Running, holds|domains on host/,
    sql: ["UPDATE VmInstanceVO SET state = 'Stopped', hostUuid = NULL WHERE uuid = '{vm}'"],
  },
  {
    what: 'an unfinished workflow',
    says: /workflow vm.create is left/,
    sql: [
      `INSERT INTO WorkflowVO (uuid, name, state, input, nodeUuid, createDate) VALUES ('${anyUuid}', 'vm.create', 'Running', '{}', '${anyUuid}', 0)`,
    ],
  },
  {
    what: 'an unfinished job',
    says: /job .* is left Running/,
    sql: [`UPDATE JobVO SET state = 'Running' WHERE apiName = 'CreateVmInstance'`],
  },
  {
    what: 'an address given out twice',
    says: /given out more than once/,
    sql: twin('UsedIpVO', 'vmNicUuid IS NOT NULL LIMIT 1', { uuid: `'${anyUuid}'`, ipInLong: '1' }),
  },
  {
    what: 'an address that leaked',
    says: /is used by nobody/,
    sql: twin('UsedIpVO', 'vmNicUuid IS NOT NULL LIMIT 1', {
      uuid: `'${anyUuid}'`,
      ip: "'10.99.9.9'",
      ipInLong: '174262537',
      vmNicUuid: 'NULL',
    }),
  },
  {
    what: 'an address outside its range',
    says: /is not of its range/,
    sql: [
      "UPDATE UsedIpVO SET ip = '10.98.0.1' WHERE vmNicUuid IS NOT NULL",
      "UPDATE VmNicVO SET ip = '10.98.0.1'",
    ],
  },
  {
    what: 'a NIC whose address is missing',
    says: /the address is undefined|does not exist/,
    sql: ['DELETE FROM UsedIpVO WHERE vmNicUuid IS NOT NULL'],
  },
  {
    what: 'a NIC whose VM is missing',
    says: /VmNicVO names the VmInstanceVO/,
    sql: [`UPDATE VmNicVO SET vmInstanceUuid = '${anyUuid}' WHERE vmInstanceUuid = '{vm}'`],
  },
  {
    what: 'a volume whose VM is missing',
    says: /VolumeVO names the VmInstanceVO/,
    sql: [`UPDATE VolumeVO SET vmInstanceUuid = '${anyUuid}' WHERE uuid = '{attached}'`],
  },
  {
    what: 'a VM without a root volume',
    says: /has no root volume/,
    sql: ["UPDATE VmInstanceVO SET rootVolumeUuid = NULL WHERE uuid = '{vm}'"],
  },
  {
    what: 'a root volume that leaked',
    says: /root volume .* belongs to VM/,
    sql: twin('VolumeVO', "type = 'Root' AND vmInstanceUuid = '{vm}'", { uuid: `'${anyUuid}'` }),
  },
  {
    what: 'two disks with one number',
    says: /more than one disk is number/,
    sql: ["UPDATE VolumeVO SET vmInstanceUuid = '{vm}', deviceId = 1 WHERE uuid = '{spare}'"],
  },
  {
    what: 'CPU and memory that leaked',
    says: /CPUs are free/,
    sql: ["UPDATE HostVO SET availableCpuCapacity = availableCpuCapacity - 1 WHERE uuid = '{host}'"],
  },
  {
    what: 'a reservation that leaked',
    says: /HostAllocationVO names|holds|are free/,
    sql: [
      `INSERT INTO HostAllocationVO (vmUuid, hostUuid, cpuNum, memorySize) VALUES ('${anyUuid}', '{host}', 1, 1)`,
    ],
  },
  {
    what: 'a reservation that is missing',
    says: /holds \[\], is due/,
    sql: ["DELETE FROM HostAllocationVO WHERE vmUuid = '{vm}'"],
  },
  {
    what: 'space that leaked',
    says: /bytes of storage are free/,
    sql: [
      "UPDATE LocalStorageHostRefVO SET availableCapacity = availableCapacity - 4096 WHERE hostUuid = '{host}'",
    ],
  },
  {
    what: 'a sum of space that is wrong',
    says: /primary storage .* has availableCapacity/,
    sql: ['UPDATE PrimaryStorageVO SET availableCapacity = availableCapacity + 1'],
  },
  {
    what: 'a volume without its space',
    says: /has space 0 times, is due 1/,
    sql: ["DELETE FROM LocalStorageResourceRefVO WHERE resourceUuid = '{attached}'"],
  },
  {
    what: 'a tag of something that is gone',
    says: /which is gone/,
    sql: [`UPDATE SystemTagVO SET resourceUuid = '${anyUuid}'`],
  },
]

const vmOn = (host: SimulatedHost, place: Place) => host.state.vms.get(place.vm ?? '')
const diskOf = (host: SimulatedHost, place: Place) => vmOn(host, place)?.disks[0]?.installPath ?? ''

export const faultsInWorld: readonly Fault[] = [
  {
    what: 'a domain that is missing',
    says: /domains on host .*: missing/,
    world: ({ state }, { vm = '' }) => state.vms.delete(vm),
  },
  {
    what: 'a domain that leaked',
    says: /domains on host .*: nobody knows/,
    world: (host, place) => host.state.vms.set(anyUuid, vmOn(host, place) as never),
  },
  {
    what: 'a domain on two hosts',
    says: /domains on host .*: nobody knows/,
    world: (host, place, cloud) =>
      simulatedHost(cloud, 1).state.vms.set(place.vm ?? '', vmOn(host, place) as never),
  },
  {
    what: 'a domain in another state',
    says: /domains on host/,
    world: (host, place) => Object.assign(vmOn(host, place) as object, { state: 'Paused' }),
  },
  {
    what: 'a disk file that is missing',
    says: /files on host .*: missing/,
    world: (host, place) => host.state.files.delete(diskOf(host, place)),
  },
  {
    what: 'a disk file that leaked',
    says: /files on host .*: nobody knows/,
    world: ({ state }) =>
      state.files.put('/zstack_ps/dataVolumes/lost.qcow2', {
        format: 'qcow2',
        virtualSizeBytes: 1,
        actualSizeBytes: 1,
      }),
  },
  {
    what: 'a disk file of another size',
    says: /files on host/,
    world: (host, place) =>
      host.state.files.put(diskOf(host, place), { format: 'qcow2', virtualSizeBytes: 7, actualSizeBytes: 1 }),
  },
  {
    what: 'an image below disks that is missing',
    says: /images below disks/,
    world: ({ state }) => state.files.delete(state.files.list('/zstack_ps/imagecache')[0]?.path ?? ''),
  },
  {
    what: 'a disk that is plugged and should not be',
    says: /disks on host .*: nobody knows/,
    world: (host, place) =>
      Object.assign(vmOn(host, place) as object, {
        disks: [...(vmOn(host, place)?.disks ?? []), { ...vmOn(host, place)?.disks[0], deviceId: 9 }],
      }),
  },
  {
    what: 'a NIC that is not plugged',
    says: /nics on host .*: missing/,
    world: (host, place) => Object.assign(vmOn(host, place) as object, { nics: [] }),
  },
  {
    what: 'a lease that leaked',
    says: /leases on host .*: nobody knows/,
    world: ({ state }) =>
      [...state.networks.values()][0]?.leases.set('fa:00', { mac: 'fa:00', ip: '10.99.9.9' } as never),
  },
  {
    what: 'a lease that is missing',
    says: /leases on host .*: missing/,
    world: ({ state }) => [...state.networks.values()][0]?.leases.clear(),
  },
  {
    what: 'a bridge that is missing',
    says: /bridges on host .*: missing/,
    world: ({ state }) => state.bridges.clear(),
  },
  {
    what: 'an interface that leaked',
    says: /open disks and taps on host .*: nobody knows/,
    world: ({ state }) => state.tapUsers.set('vnic9.0', anyUuid),
  },
  {
    what: 'memory that leaked',
    says: /memory in use on host/,
    world: ({ state }) => Object.assign(state, { usedMemoryBytes: 5 }),
  },
  {
    what: 'a migration that never ended',
    says: /expected migrations/,
    world: ({ state }) => state.incoming.set(anyUuid, anyUuid),
  },
  {
    what: 'a host nobody knows',
    says: /hosts: nobody knows/,
    world: (host, _place, { world }) => world.hosts.set('10.9.9.9', host),
  },
  {
    what: 'a host that is missing',
    says: /hosts: missing/,
    world: ({ address }, _place, { world }) => world.hosts.delete(address),
  },
  {
    what: 'an image file that is missing',
    says: /files on backup storage .*: missing/,
    world: (_host, _place, { world }) => {
      const files = [...world.backupStorages.values()][0]?.state.files
      files?.delete(files.list('/zstack_bs')[0]?.path ?? '')
    },
  },
]
