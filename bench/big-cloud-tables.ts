import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import type { BigCloud } from './big-cloud.ts'

/** Rows to add to a table: an SQL expression for each column, over `i` from 1 to `count`. */
export interface AddedRows {
  readonly table: string
  readonly count: number
  readonly columns: Readonly<Record<string, string>>
}

const kinds = [
  'storage',
  'vm',
  'nic',
  'volume',
  'ip',
  'host',
  'cluster',
  'image',
  'offering',
  'l3',
  'l2',
  'range',
  'tag',
]
const HOSTS_PER_CLUSTER = 100
const VMS_PER_NETWORK = 10_000
// A storage of a terabyte on each of 10,000 hosts would have more bytes than a number can tell apart.
const CLUSTERS_PER_STORAGE = 10
const IMAGES = 20
const OFFERINGS = 10
const VMS_PER_TAG = 50

/** The uuid of number `i` of a kind: in the order of `i`, as those of VMs are in the order of time. */
export function uuidSql(kind: string, i: string): string {
  const number = 0xf00 + kinds.indexOf(kind)
  return `printf('01900000%04x4${number.toString(16)}8000%012x', (${i}) / 4096, ${i})`
}

/** What is added to a cloud that has one of each, in an order in which nothing is missing. */
export function bigCloudTables(db: DatabaseSync, size: BigCloud): AddedRows[] {
  const counts = {
    hosts: size.hosts - 1,
    vms: size.vms - 1,
    clusters: Math.ceil(size.hosts / HOSTS_PER_CLUSTER),
    networks: Math.ceil(size.vms / VMS_PER_NETWORK),
    storages: Math.ceil(size.hosts / HOSTS_PER_CLUSTER / CLUSTERS_PER_STORAGE),
  }
  const rows = seededRows(db)
  return [...places(rows, counts), ...networks(rows, counts), ...hosts(rows, counts), ...vms(rows, counts)]
}

interface Counts {
  readonly hosts: number
  readonly vms: number
  readonly clusters: number
  readonly networks: number
  readonly storages: number
}

const uuid = (kind: string) => ({ uuid: uuidSql(kind, 'i') })
const named = (kind: string) => ({ ...uuid(kind), name: `'${kind}-' || i` })
const oneOf = (kind: string, count: number) => uuidSql(kind, `1 + i % ${count}`)

const clusterOf = (host: string, { clusters }: Counts) => `1 + (${host}) % ${clusters}`
const storageOf = (host: string, counts: Counts) =>
  uuidSql('storage', `1 + (${clusterOf(host, counts)}) % ${counts.storages}`)

function places(rows: SeededRows, { clusters, storages }: Counts): AddedRows[] {
  return [
    rows.of('PrimaryStorageVO', storages, named('storage')),
    rows.of('ClusterVO', clusters, named('cluster')),
    rows.of('PrimaryStorageClusterRefVO', clusters, {
      id: rows.nextId('PrimaryStorageClusterRefVO'),
      clusterUuid: uuidSql('cluster', 'i'),
      primaryStorageUuid: oneOf('storage', storages),
    }),
    rows.of('ImageVO', IMAGES, named('image')),
    rows.of('ImageBackupStorageRefVO', IMAGES, {
      id: rows.nextId('ImageBackupStorageRefVO'),
      imageUuid: uuidSql('image', 'i'),
    }),
    rows.of('InstanceOfferingVO', OFFERINGS, named('offering')),
  ]
}

function networks(rows: SeededRows, { clusters, networks: count }: Counts): AddedRows[] {
  return [
    rows.of('L2NetworkVO', count, named('l2')),
    rows.of('L3NetworkVO', count, { ...named('l3'), l2NetworkUuid: uuidSql('l2', 'i') }),
    rows.of('IpRangeVO', count, {
      ...named('range'),
      l3NetworkUuid: uuidSql('l3', 'i'),
      startIp: `'10.' || (i - 1) || '.0.10'`,
      endIp: `'10.' || (i - 1) || '.250.250'`,
      startLong: '10 * 16777216 + (i - 1) * 65536 + 10',
      endLong: '10 * 16777216 + (i - 1) * 65536 + 64250',
      networkCidr: `'10.' || (i - 1) || '.0.0/16'`,
      gateway: `'10.' || (i - 1) || '.0.1'`,
    }),
    rows.of('NetworkServiceL3NetworkRefVO', count, { l3NetworkUuid: uuidSql('l3', 'i') }),
    rows.of('L2NetworkClusterRefVO', clusters * count, {
      l2NetworkUuid: uuidSql('l2', `1 + (i - 1) / ${clusters}`),
      clusterUuid: uuidSql('cluster', `1 + (i - 1) % ${clusters}`),
    }),
  ]
}

function hosts(rows: SeededRows, counts: Counts): AddedRows[] {
  const count = counts.hosts
  const primaryStorageUuid = storageOf('i', counts)
  const caches = { primaryStorageUuid, imageUuid: oneOf('image', IMAGES), hostUuid: uuidSql('host', 'i') }
  return [
    rows.of('HostVO', count, {
      ...named('host'),
      clusterUuid: uuidSql('cluster', clusterOf('i', counts)),
      managementIp: `'10.200.' || (i / 250) || '.' || (i % 250 + 1)`,
    }),
    rows.of('LocalStorageHostRefVO', count, { primaryStorageUuid, hostUuid: uuidSql('host', 'i') }),
    rows.of('LocalStorageImageCacheVO', count, caches),
  ]
}

function vms(rows: SeededRows, counts: Counts): AddedRows[] {
  const { hosts: hostCount, vms: count, networks: networkCount } = counts
  const hostNumber = `1 + i % ${hostCount}`
  const primaryStorageUuid = storageOf(hostNumber, counts)
  const host = oneOf('host', hostCount)
  // Sixteen bits of an address within a network, the network in the second byte.
  const number = `(10 + i / ${networkCount})`
  const address = `10 * 16777216 + (i % ${networkCount}) * 65536 + ${number}`
  const ip = `'10.' || (i % ${networkCount}) || '.' || (${number} / 256) || '.' || (${number} % 256)`
  const network = oneOf('l3', networkCount)
  const time = '1700000000000 + i * 1000'
  return [
    rows.of('VmInstanceVO', count, {
      ...named('vm'),
      clusterUuid: uuidSql('cluster', clusterOf(hostNumber, counts)),
      imageUuid: oneOf('image', IMAGES),
      hostUuid: host,
      lastHostUuid: host,
      instanceOfferingUuid: oneOf('offering', OFFERINGS),
      rootVolumeUuid: uuidSql('volume', 'i'),
      defaultL3NetworkUuid: network,
      internalId: 'i + 1',
      createDate: time,
      lastOpDate: time,
    }),
    rows.of('UsedIpVO', count, {
      ...uuid('ip'),
      ipRangeUuid: oneOf('range', networkCount),
      l3NetworkUuid: network,
      ip,
      ipInLong: address,
      vmNicUuid: uuidSql('nic', 'i'),
    }),
    rows.of('VmNicVO', count, {
      ...uuid('nic'),
      vmInstanceUuid: uuidSql('vm', 'i'),
      l3NetworkUuid: network,
      ip,
      mac: `printf('fa:01:%02x:%02x:%02x:%02x', i >> 24, (i >> 16) & 255, (i >> 8) & 255, i & 255)`,
      internalName: `'vnic' || (i + 1) || '.0'`,
      usedIpUuid: uuidSql('ip', 'i'),
    }),
    rows.of('VolumeVO', count, {
      ...uuid('volume'),
      name: `'ROOT-for-vm-' || i`,
      primaryStorageUuid,
      vmInstanceUuid: uuidSql('vm', 'i'),
      rootImageUuid: oneOf('image', IMAGES),
      installPath: `'/zstack_ps/rootVolumes/vol-' || ${uuidSql('volume', 'i')} || '.qcow2'`,
    }),
    rows.of('LocalStorageResourceRefVO', count, {
      primaryStorageUuid,
      resourceUuid: uuidSql('volume', 'i'),
      hostUuid: host,
    }),
    rows.of('HostAllocationVO', count, { vmUuid: uuidSql('vm', 'i'), hostUuid: host }),
    rows.of('UserTagVO', Math.floor(count / VMS_PER_TAG), {
      ...uuid('tag'),
      resourceType: `'VmInstanceVO'`,
      resourceUuid: uuidSql('vm', `i * ${VMS_PER_TAG}`),
      tag: `'team-' || (i % 100)`,
      type: `'User'`,
      createDate: '1700000000000',
      lastOpDate: '1700000000000',
    }),
  ]
}

/** Makes rows like the first row of their table, which a cloud with one of each has. */
interface SeededRows {
  of(table: string, count: number, given: Readonly<Record<string, string>>): AddedRows
  /** The expression of the numbers that follow the highest of a table. */
  nextId(table: string): string
}

function seededRows(db: DatabaseSync): SeededRows {
  const literal = (value: SQLOutputValue | undefined) =>
    typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value ?? 'NULL')
  return {
    of: (table, count, given) => {
      const row = db.prepare(`SELECT * FROM \`${table}\` ORDER BY rowid LIMIT 1`).get() ?? {}
      const seed = Object.fromEntries(Object.entries(row).map(([column, value]) => [column, literal(value)]))
      return { table, count, columns: { ...seed, ...given } }
    },
    nextId: (table) =>
      `i + ${Number(db.prepare(`SELECT COALESCE(MAX(id), 0) AS n FROM \`${table}\``).get()?.n)}`,
  }
}
