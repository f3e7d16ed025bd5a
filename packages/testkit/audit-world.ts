import type { SimulatedFiles } from '#agents/simulator/files.ts'
import type { SimulatedHost } from '#agents/simulator/kvm-host.ts'
import type { SimulatedWorld } from '#agents/simulator/world.ts'
import type { Session } from '#db'
import { type Row, rowsOf } from './audit-rows.ts'

/** What the database says of the hosts and backup storages, against what they have. */
export async function auditWorld(db: Session, world: SimulatedWorld): Promise<string[]> {
  const found: string[] = []
  const isSimulated = (row: Row) =>
    row.hypervisorType === 'Simulator' || world.hosts.has(String(row.managementIp))
  const hosts = (await rowsOf(db, 'HostVO')).filter(isSimulated)
  compareAgents(found, 'hosts', new Map(hosts.map((row) => [String(row.managementIp), row.status])), [
    ...world.hosts.keys(),
  ])
  // One that is Disconnected is put in order when it is connected again.
  for (const row of hosts.filter(({ status }) => status === 'Connected')) {
    const simulated = world.hosts.get(String(row.managementIp))
    if (simulated === undefined) continue
    const told = await tellHost(db, row, simulated.state)
    const seen = seeHost(simulated)
    for (const what of Object.keys(told) as (keyof HostView)[])
      compare(found, `${what} on host ${row.managementIp}`, told[what], seen[what])
  }
  found.push(...(await auditBackupStorages(db, world)))
  return found
}

interface HostView {
  readonly files: readonly string[]
  readonly domains: readonly string[]
  readonly disks: readonly string[]
  readonly nics: readonly string[]
  readonly leases: readonly string[]
  readonly bridges: readonly string[]
  readonly 'open disks and taps': readonly string[]
  readonly 'expected migrations': readonly string[]
  readonly 'memory in use': readonly string[]
  readonly 'images below disks': readonly string[]
}

async function tellHost(
  db: Session,
  { uuid, clusterUuid }: Row,
  seen: SimulatedHost['state'],
): Promise<HostView> {
  const all = (sql: string, ...params: Row[string][]) => db.all(sql, params)
  const host = uuid ?? ''
  const files = await all(
    `SELECT v.installPath AS path, v.size AS size,
       (v.status = 'Deleted' OR (m.state = 'Destroyed' AND m.rootVolumeUuid IS NULL)) AS mayBeGone
     FROM LocalStorageResourceRefVO r JOIN VolumeVO v ON v.uuid = r.resourceUuid
     LEFT JOIN VmInstanceVO m ON m.uuid = v.vmInstanceUuid WHERE r.hostUuid = ?
     UNION SELECT installPath, size, 0 FROM LocalStorageImageCacheVO WHERE hostUuid = ?`,
    host,
    host,
  )
  // Nobody knows what a VM that is Unknown does, until its host tells.
  const vms = await all(
    "SELECT * FROM VmInstanceVO WHERE hostUuid = ? AND state IN ('Running', 'Paused')",
    host,
  )
  const live = "SELECT uuid FROM VmInstanceVO WHERE hostUuid = ? AND state IN ('Running', 'Paused')"
  const disks = await all(`SELECT * FROM VolumeVO WHERE vmInstanceUuid IN (${live})`, host)
  const nics = await all(`SELECT * FROM VmNicVO WHERE vmInstanceUuid IN (${live})`, host)
  const served = await all(
    `SELECT * FROM VmNicVO WHERE vmInstanceUuid IN (${live}) AND l3NetworkUuid IN
     (SELECT l3NetworkUuid FROM NetworkServiceL3NetworkRefVO WHERE networkServiceType = 'DHCP')`,
    host,
  )
  const bridges = await all(
    `SELECT l.physicalInterface AS device FROM L2NetworkVO l JOIN L2NetworkClusterRefVO r ON r.l2NetworkUuid = l.uuid
     WHERE r.clusterUuid = ?`,
    clusterUuid ?? '',
  )
  return {
    files: files.flatMap(({ path, size, mayBeGone }) => {
      const isThere = seen.files.get(String(path)) !== undefined
      // A removal that was cut off is repeated by whoever wanted it.
      return mayBeGone === 1 && !isThere ? [] : [`${path} of ${size} bytes`]
    }),
    domains: vms.map((vm) => `${vm.uuid} ${vm.state} ${vm.cpuNum} CPUs ${vm.memorySize} bytes`),
    disks: disks.map((disk) => `${disk.vmInstanceUuid} ${disk.installPath} at ${disk.deviceId}`),
    nics: nics.map((nic) => `${nic.vmInstanceUuid} ${nic.mac} ${nic.internalName}`),
    leases: served.map((nic) => `${nic.l3NetworkUuid} ${nic.mac} ${nic.ip}`),
    bridges: bridges.map(({ device }) => String(device)),
    'open disks and taps': [
      ...disks.map((disk) => `${disk.vmInstanceUuid} ${disk.installPath}`),
      ...nics.map((nic) => `${nic.vmInstanceUuid} ${nic.internalName}`),
    ],
    'expected migrations': [],
    'memory in use': [`${vms.reduce((sum, vm) => sum + Number(vm.memorySize), 0)} bytes`],
    'images below disks': [],
  }
}

function seeHost({ state }: SimulatedHost): HostView {
  const vms = [...state.vms]
  return {
    files: filesOf(state.files).map((path) => `${path} of ${sizeOf(state.files, path)} bytes`),
    domains: vms.map(
      ([uuid, vm]) => `${uuid} ${vm.state} ${vm.spec.cpuNum} CPUs ${vm.spec.memoryBytes} bytes`,
    ),
    disks: vms.flatMap(([uuid, vm]) => vm.disks.map((d) => `${uuid} ${d.installPath} at ${d.deviceId}`)),
    nics: vms.flatMap(([uuid, vm]) => vm.nics.map((n) => `${uuid} ${n.mac} ${n.deviceName}`)),
    leases: [...state.networks].flatMap(([uuid, { leases }]) =>
      [...leases.values()].map(({ mac, ip }) => `${uuid} ${mac} ${ip}`),
    ),
    bridges: [...state.bridges.values()],
    'open disks and taps': [...state.diskUsers, ...state.tapUsers].map(([what, vm]) => `${vm} ${what}`),
    'expected migrations': [...state.incoming.values()],
    'memory in use': [`${state.usedMemoryBytes} bytes`],
    'images below disks': lostImages(state.files),
  }
}

/** As the books count: a disk by what its guest sees, an image by what it takes. */
function sizeOf(files: SimulatedFiles, path: string): number | undefined {
  const file = files.get(path)
  return path.includes('/imagecache/') ? file?.actualSizeBytes : file?.virtualSizeBytes
}

/** Images that disks are built on and that are not there: such a disk cannot be read. */
function lostImages(files: SimulatedFiles): string[] {
  return filesOf(files).flatMap((path) => {
    const below = files.get(path)?.backingPath
    return below === undefined || files.get(below) !== undefined ? [] : [`${below} below ${path}`]
  })
}

async function auditBackupStorages(db: Session, world: SimulatedWorld): Promise<string[]> {
  const found: string[] = []
  const storages = (await rowsOf(db, 'BackupStorageVO')).filter(
    ({ type }) => type === 'SimulatorBackupStorage',
  )
  const addressOf = ({ uuid }: Row) => `bs-${uuid}`
  const known = new Map(storages.map((row) => [addressOf(row), row.status]))
  compareAgents(found, 'backup storages', known, [...world.backupStorages.keys()])
  const refs = await rowsOf(db, 'ImageBackupStorageRefVO')
  for (const storage of storages) {
    const told = refs.filter((ref) => ref.backupStorageUuid === storage.uuid)
    const simulated = world.backupStorages.get(addressOf(storage))
    if (simulated === undefined) continue
    const seen = filesOf(simulated.state.files)
    const what = `files on backup storage ${storage.name}`
    compare(
      found,
      what,
      told.map((ref) => String(ref.installPath)),
      seen,
    )
  }
  return found
}

function filesOf(files: SimulatedFiles): string[] {
  return files.roots.flatMap((root) => files.list(root).map(({ path }) => path))
}

/** A row whose agent is not there must say so; an agent nobody knows is left over. */
function compareAgents(
  found: string[],
  what: string,
  told: ReadonlyMap<string, Row[string] | undefined>,
  seen: readonly string[],
): void {
  for (const [address, status] of told)
    if (status === 'Connected' && !seen.includes(address)) found.push(`${what}: missing ${address}`)
  for (const address of seen) if (!told.has(address)) found.push(`${what}: nobody knows of ${address}`)
}

function compare(found: string[], what: string, told: readonly string[], seen: readonly string[]): void {
  const missing = told.filter((one) => !seen.includes(one))
  const unknown = seen.filter((one) => !told.includes(one))
  if (missing.length > 0) found.push(`${what}: missing ${missing.join(', ')}`)
  if (unknown.length > 0) found.push(`${what}: nobody knows of ${unknown.join(', ')}`)
  if (new Set(seen).size !== seen.length) found.push(`${what}: something is there twice: ${seen.join(', ')}`)
}
