import { closeSync, fsyncSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { buildDataCenter, createTestCloud } from '#testkit'
import { bigCloudTables, uuidSql } from './big-cloud-tables.ts'

/** How big a cloud is made. */
export interface BigCloud {
  readonly vms: number
  readonly hosts: number
  /** Hosts as a server finds them that cannot be reached: KVM hosts on the loopback, Disconnected, their VMs Unknown. */
  readonly unreachable?: boolean
  /** All VMs are stopped. */
  readonly off?: boolean
  /** Hears what is being made: a million VMs take minutes. */
  readonly tell?: (what: string) => void
}

// Sorted builds of indexes are many times faster than keeping them while rows arrive.
const CACHE_KIB = 1_048_576
// Fewer are there at once: nobody needs to be told.
const MANY_ROWS = 100_000

/**
 * Makes a data directory with a cloud of any size: one real VM on one host by way of the API, then rows like its rows, set by set.
 * Clusters of 100 hosts, one network for each 10,000 VMs, 20 images, 10 offerings, each with the references a real one has.
 */
export async function makeBigCloud(dir: string, size: BigCloud): Promise<{ nodeUuid: string }> {
  const nodeUuid = await makeSeed(dir)
  const db = new DatabaseSync(join(dir, 'zstack.db'))
  try {
    db.exec(
      `PRAGMA journal_mode=DELETE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-${CACHE_KIB}; PRAGMA temp_store=FILE`,
    )
    fill(db, size)
    // What a server does by itself after some minutes.
    db.exec('PRAGMA analysis_limit=5000; ANALYZE; PRAGMA journal_mode=WAL')
  } finally {
    db.close()
  }
  size.tell?.('waiting for the disk')
  flush(join(dir, 'zstack.db'))
  return { nodeUuid }
}

/** What is still on its way to the disk would be waited for by the first commits that are measured. */
function flush(file: string): void {
  const descriptor = openSync(file, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

async function makeSeed(dir: string): Promise<string> {
  const nodeUuid = '0123456789ab4def8123456789abcdef'
  const cloud = await createTestCloud({ data: { dir, nodeUuid } })
  try {
    const center = await buildDataCenter(cloud)
    await cloud.call(createVmInstance, {
      name: 'vm-0',
      instanceOfferingUuid: center.instanceOffering,
      imageUuid: center.image,
      l3NetworkUuids: [center.l3],
      strategy: 'InstantStart',
    })
  } finally {
    await cloud.dispose()
  }
  return nodeUuid
}

function fill(db: DatabaseSync, size: BigCloud): void {
  const tables = bigCloudTables(db, size)
  const names = tables.map(({ table }) => `'${table}'`).join(',')
  const indexes = db
    .prepare(
      `SELECT name, sql FROM sqlite_master WHERE type='index' AND sql NOT NULL AND tbl_name IN (${names})`,
    )
    .all()
  db.exec('BEGIN')
  for (const { name } of indexes) db.exec(`DROP INDEX \`${name}\``)
  for (const { table, count, columns } of tables) {
    const target = Object.keys(columns).map((column) => `\`${column}\``)
    const series = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`
    if (count === 0) continue
    if (count >= MANY_ROWS) size.tell?.(`${count} rows of ${table}`)
    db.exec(`${series} INSERT INTO \`${table}\` (${target}) SELECT ${Object.values(columns)} FROM n`)
  }
  size.tell?.(`${indexes.length} indexes`)
  for (const { sql } of indexes) db.exec(String(sql))
  settle(db, size)
  db.exec('COMMIT')
}

/** What is counted twice, and what is true only of hosts nobody can reach. */
function settle(db: DatabaseSync, size: BigCloud): void {
  if (size.off === true) {
    db.exec(`UPDATE VmInstanceVO SET state = 'Stopped', hostUuid = NULL`)
    db.exec('DELETE FROM HostAllocationVO')
  }
  const taken = (column: string, table: string, of: string) =>
    `(SELECT COALESCE(SUM(${column}), 0) FROM ${table} t WHERE t.hostUuid = ${of})`
  db.exec(`UPDATE HostVO SET
    availableCpuCapacity = totalCpuCapacity - ${taken('cpuNum', 'HostAllocationVO', 'HostVO.uuid')},
    availableMemoryCapacity = totalMemoryCapacity - ${taken('memorySize', 'HostAllocationVO', 'HostVO.uuid')}`)
  const volumes = taken('size', 'LocalStorageResourceRefVO', 'LocalStorageHostRefVO.hostUuid')
  const caches = taken('size', 'LocalStorageImageCacheVO', 'LocalStorageHostRefVO.hostUuid')
  db.exec(`UPDATE LocalStorageHostRefVO SET availableCapacity = totalCapacity - ${volumes} - ${caches}`)
  const all = (column: string) =>
    `${column} = (SELECT SUM(t.${column}) FROM LocalStorageHostRefVO t WHERE t.primaryStorageUuid = PrimaryStorageVO.uuid)`
  db.exec(`UPDATE PrimaryStorageVO SET ${all('totalCapacity')}, ${all('availableCapacity')}`)
  if (size.unreachable !== true) return
  db.exec(`UPDATE HostVO SET hypervisorType = 'KVM', status = 'Disconnected',
    managementIp = '127.1.' || (rowid / 250) || '.' || (rowid % 250 + 1)`)
  db.exec(`INSERT INTO KVMHostVO (uuid, username, sshPort, sealedPassword, agentPort)
    SELECT uuid, 'root', 9, '', 9 FROM HostVO`)
  db.exec(`UPDATE VmInstanceVO SET state = 'Unknown', hypervisorType = 'KVM'`)
  db.exec(`UPDATE ClusterVO SET hypervisorType = 'KVM'`)
}

/** Uuids of some of the VMs that were made, spread evenly. */
export function someVmUuids({ vms }: BigCloud, count: number): string[] {
  const db = new DatabaseSync(':memory:')
  try {
    const uuid = db.prepare(`WITH n(i) AS (SELECT ?) SELECT ${uuidSql('vm', 'i')} AS uuid FROM n`)
    return Array.from({ length: count }, (_, k) =>
      String(uuid.get(1 + Math.floor(((k + 0.5) * (vms - 1)) / count))?.uuid),
    )
  } finally {
    db.close()
  }
}
