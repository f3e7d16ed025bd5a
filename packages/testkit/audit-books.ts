import type { Session } from '#db'
import { auditAddresses } from './audit-addresses.ts'
import { type Row, rowsOf } from './audit-rows.ts'
import { auditVolumes } from './audit-volumes.ts'

const resting: Readonly<Record<string, readonly string[]>> = {
  'VmInstanceVO.state': ['Created', 'Running', 'Stopped', 'Paused', 'Destroyed', 'Unknown'],
  'VolumeVO.status': ['Ready', 'NotInstantiated', 'Deleted'],
  'ImageVO.status': ['Ready', 'Deleted'],
  'ImageBackupStorageRefVO.status': ['Ready', 'Deleted'],
  'HostVO.status': ['Connected', 'Disconnected'],
  'BackupStorageVO.status': ['Connected', 'Disconnected'],
  'PrimaryStorageVO.status': ['Connected', 'Disconnected'],
}

/** Rows that mean nothing without another: table.column -> the table its uuid must be in. */
const owners: Readonly<Record<string, string>> = {
  'HostAllocationVO.vmUuid': 'VmInstanceVO',
  'HostAllocationVO.hostUuid': 'HostVO',
  'VmInstanceVO.hostUuid': 'HostVO',
  'VmInstanceVO.rootVolumeUuid': 'VolumeVO',
  'VmNicVO.vmInstanceUuid': 'VmInstanceVO',
  'VmNicVO.l3NetworkUuid': 'L3NetworkVO',
  'VmNicVO.usedIpUuid': 'UsedIpVO',
  'UsedIpVO.vmNicUuid': 'VmNicVO',
  'UsedIpVO.l3NetworkUuid': 'L3NetworkVO',
  'UsedIpVO.ipRangeUuid': 'IpRangeVO',
  'IpRangeVO.l3NetworkUuid': 'L3NetworkVO',
  'L3NetworkVO.l2NetworkUuid': 'L2NetworkVO',
  'L3NetworkDnsVO.l3NetworkUuid': 'L3NetworkVO',
  'NetworkServiceL3NetworkRefVO.l3NetworkUuid': 'L3NetworkVO',
  'L2NetworkClusterRefVO.l2NetworkUuid': 'L2NetworkVO',
  'L2NetworkClusterRefVO.clusterUuid': 'ClusterVO',
  'VolumeVO.vmInstanceUuid': 'VmInstanceVO',
  'VolumeVO.primaryStorageUuid': 'PrimaryStorageVO',
  'LocalStorageResourceRefVO.resourceUuid': 'VolumeVO',
  'LocalStorageResourceRefVO.hostUuid': 'HostVO',
  'LocalStorageHostRefVO.hostUuid': 'HostVO',
  'LocalStorageHostRefVO.primaryStorageUuid': 'PrimaryStorageVO',
  'LocalStorageImageCacheVO.hostUuid': 'HostVO',
  'PrimaryStorageClusterRefVO.primaryStorageUuid': 'PrimaryStorageVO',
  'PrimaryStorageClusterRefVO.clusterUuid': 'ClusterVO',
  'ImageBackupStorageRefVO.imageUuid': 'ImageVO',
  'ImageBackupStorageRefVO.backupStorageUuid': 'BackupStorageVO',
  'BackupStorageZoneRefVO.backupStorageUuid': 'BackupStorageVO',
}

/** What the database says of itself. */
export async function auditBooks(db: Session): Promise<string[]> {
  return [
    ...(await auditStates(db)),
    ...(await auditOwners(db)),
    ...(await auditTags(db)),
    ...(await auditHosts(db)),
    ...(await auditStorages(db)),
    ...(await auditVms(db)),
    ...(await auditAddresses(db)),
    ...(await auditVolumes(db)),
    ...(await auditJournal(db)),
  ]
}

async function auditStates(db: Session): Promise<string[]> {
  const found: string[] = []
  for (const [place, allowed] of Object.entries(resting)) {
    const [table = '', column = ''] = place.split('.')
    for (const row of await rowsOf(db, table)) {
      if (!allowed.includes(String(row[column])))
        found.push(`${table} ${row.uuid ?? row.imageUuid} is left ${row[column]}`)
    }
  }
  return found
}

async function auditOwners(db: Session): Promise<string[]> {
  const found: string[] = []
  for (const [place, owner] of Object.entries(owners)) {
    const [table = '', column = ''] = place.split('.')
    const orphans = await db.all(
      `SELECT ${column} AS lost FROM ${table} WHERE ${column} IS NOT NULL AND ${column} NOT IN (SELECT uuid FROM ${owner})`,
      [],
    )
    for (const { lost } of orphans) found.push(`${table} names the ${owner} ${lost}, which does not exist`)
  }
  return found
}

async function auditTags(db: Session): Promise<string[]> {
  const found: string[] = []
  for (const table of ['UserTagVO', 'SystemTagVO']) {
    for (const { resourceType, resourceUuid, tag } of await rowsOf(db, table)) {
      const owner = await db.all(`SELECT uuid FROM ${resourceType} WHERE uuid = ?`, [String(resourceUuid)])
      if (owner.length === 0)
        found.push(`${table} ${tag} is of ${resourceType} ${resourceUuid}, which is gone`)
    }
  }
  return found
}

/** Free CPU and memory of hosts. Over-provisioning of memory is 1 where this is used. */
async function auditHosts(db: Session): Promise<string[]> {
  const found: string[] = []
  const allocations = await rowsOf(db, 'HostAllocationVO')
  for (const host of await rowsOf(db, 'HostVO')) {
    const own = allocations.filter((row) => row.hostUuid === host.uuid)
    const cpu = Number(host.totalCpuCapacity) - sum(own, 'cpuNum')
    const memory = Number(host.totalMemoryCapacity) - sum(own, 'memorySize')
    if (cpu !== host.availableCpuCapacity)
      found.push(`host ${host.uuid} says ${host.availableCpuCapacity} CPUs are free, ${cpu} are`)
    if (memory !== host.availableMemoryCapacity)
      found.push(`host ${host.uuid} says ${host.availableMemoryCapacity} bytes are free, ${memory} are`)
  }
  return found
}

/** Free space of storages. Over-provisioning is 1 where this is used. */
async function auditStorages(db: Session): Promise<string[]> {
  const found: string[] = []
  const volumes = await rowsOf(db, 'LocalStorageResourceRefVO')
  const caches = await rowsOf(db, 'LocalStorageImageCacheVO')
  const disks = await rowsOf(db, 'LocalStorageHostRefVO')
  for (const disk of disks) {
    const here = (row: Row) =>
      row.hostUuid === disk.hostUuid && row.primaryStorageUuid === disk.primaryStorageUuid
    const taken = sum(volumes.filter(here), 'size') + sum(caches.filter(here), 'size')
    const free = Number(disk.totalCapacity) - taken
    if (free !== disk.availableCapacity)
      found.push(
        `host ${disk.hostUuid} says ${disk.availableCapacity} bytes of storage are free, ${free} are`,
      )
  }
  for (const storage of await rowsOf(db, 'PrimaryStorageVO')) {
    for (const column of ['totalCapacity', 'availableCapacity']) {
      const all = sum(
        disks.filter((disk) => disk.primaryStorageUuid === storage.uuid),
        column,
      )
      if (all !== storage[column])
        found.push(
          `primary storage ${storage.uuid} has ${column} ${storage[column]}, its hosts have ${all} in all`,
        )
    }
  }
  return found
}

async function auditVms(db: Session): Promise<string[]> {
  const found: string[] = []
  const allocations = await rowsOf(db, 'HostAllocationVO')
  const nics = await rowsOf(db, 'VmNicVO')
  for (const vm of await rowsOf(db, 'VmInstanceVO')) {
    const isOn = ['Running', 'Paused', 'Unknown'].includes(String(vm.state))
    if (isOn !== (vm.hostUuid !== null)) found.push(`VM ${vm.uuid} is ${vm.state} and on host ${vm.hostUuid}`)
    const held = allocations.filter((row) => row.vmUuid === vm.uuid).map(demandOf)
    const due = isOn ? [demandOf(vm)] : []
    if (held.join() !== due.join())
      found.push(`VM ${vm.uuid} is ${vm.state}, holds [${held}], is due [${due}]`)
    const networks = nics.filter((nic) => nic.vmInstanceUuid === vm.uuid).map((nic) => nic.l3NetworkUuid)
    if (networks.length > 0 && !networks.includes(vm.defaultL3NetworkUuid ?? null))
      found.push(`VM ${vm.uuid} has no NIC in its default network ${vm.defaultL3NetworkUuid}`)
  }
  return found
}

const demandOf = ({ hostUuid, cpuNum, memorySize }: Row) =>
  `${cpuNum} CPUs and ${memorySize} bytes on ${hostUuid}`

async function auditJournal(db: Session): Promise<string[]> {
  const workflows = (await rowsOf(db, 'WorkflowVO')).map(
    ({ name, state, uuid }) => `workflow ${name} is left ${state}: ${uuid}`,
  )
  const steps = (await rowsOf(db, 'WorkflowStepVO')).map(
    ({ name, undoError }) => `step ${name} is left in the journal: ${undoError}`,
  )
  const jobs = (await rowsOf(db, 'JobVO'))
    .filter(({ state }) => state !== 'Done')
    .map(({ apiName, state }) => `job ${apiName} is left ${state}`)
  return [...workflows, ...steps, ...jobs]
}

function sum(rows: readonly Row[], column: string): number {
  return rows.reduce((total, row) => total + Number(row[column]), 0)
}
