import type { Session, SqlValue } from '#db'
import type { Lab, LabHost } from '#lab/lab.ts'
import { type HostSight, lookAtHost } from './look-at-host.ts'

type Row = Readonly<Record<string, SqlValue>>
type Things = Readonly<Record<string, readonly string[]>>

/**
 * What the database says of real hosts and image servers, against what is there: files, domains, processes, interfaces,
 * namespaces, reservations, rules. It asks the machines and not the agents, and shares no code with what it checks. Gives one
 * sentence for each kind of thing that is wrong on a host; call it when nothing is under way.
 */
export async function auditRealHosts(db: Session, lab: Lab): Promise<string[]> {
  const rows = new Map((await db.all('SELECT * FROM HostVO', [])).map((row) => [row.managementIp, row]))
  const { hosts } = await lab.status()
  const found = hosts.map(async ({ name, address }) => {
    const row = rows.get(address)
    if (row === undefined) return [`nobody knows of the host ${name} at ${address}`]
    // One that is Disconnected is put in order when it is connected again.
    return row.status === 'Connected' ? auditHost(db, row, lab.host(name)) : []
  })
  return (await Promise.all(found)).flat()
}

async function auditHost(db: Session, row: Row, host: LabHost): Promise<string[]> {
  const seen = await lookAtHost(host)
  const told = await tellHost(db, row, seen)
  const sight = arrange(seen)
  return Object.keys(told).flatMap((what) =>
    compare(`${what} on host ${host.name}`, told[what] ?? [], sight[what] ?? []),
  )
}

/** All that must be on the host, by the same names as `arrange` gives to what is. */
async function tellHost(db: Session, row: Row, seen: HostSight): Promise<Things> {
  const host = row.uuid ?? ''
  const address = String(row.managementIp)
  const all = (sql: string, ...params: SqlValue[]) => db.all(sql, params)
  const live = `SELECT uuid FROM VmInstanceVO WHERE hostUuid = ? AND state IN ('Running', 'Paused')`
  const vms = await all(`SELECT * FROM VmInstanceVO WHERE uuid IN (${live})`, host)
  const disks = await all(`SELECT * FROM VolumeVO WHERE vmInstanceUuid IN (${live})`, host)
  const nics = await all(
    `SELECT n.*, l2.physicalInterface AS device, (SELECT COUNT(*) FROM NetworkServiceL3NetworkRefVO s
       WHERE s.l3NetworkUuid = n.l3NetworkUuid AND s.networkServiceType = 'DHCP') AS isServed
     FROM VmNicVO n JOIN L3NetworkVO l3 ON l3.uuid = n.l3NetworkUuid JOIN L2NetworkVO l2 ON l2.uuid = l3.l2NetworkUuid
     WHERE n.vmInstanceUuid IN (${live})`,
    host,
  )
  const bridges = await all(
    `SELECT l.physicalInterface AS device FROM L2NetworkVO l JOIN L2NetworkClusterRefVO r ON r.l2NetworkUuid = l.uuid
     WHERE r.clusterUuid = ?`,
    row.clusterUuid ?? '',
  )
  const imageServers = await all(
    'SELECT b.* FROM BackupStorageVO b JOIN SftpBackupStorageVO s ON s.uuid = b.uuid WHERE s.hostname = ?',
    address,
  )
  const disksOf = (vm: Row) => disks.filter((disk) => disk.vmInstanceUuid === vm.uuid)
  const nicsOf = (vm: Row) => nics.filter((nic) => nic.vmInstanceUuid === vm.uuid)
  return {
    ...(await tellFiles(db, row, imageServers, seen)),
    domains: vms.map((vm) => `${vm.uuid} ${vm.state} ${vm.cpuNum} CPUs ${vm.memorySize} bytes`),
    'disks of domains': vms.flatMap((vm) => disksOf(vm).map((disk) => `${vm.uuid} ${disk.installPath}`)),
    'NICs of domains': vms.flatMap((vm) =>
      nicsOf(vm).map((nic) => `${vm.uuid} ${nic.mac} ${nic.internalName} br_${nic.device}`),
    ),
    processes: [
      ...vms.map(({ uuid }) => `guest ${uuid}`),
      ...servedBy(nics).map(([l3]) => `dnsmasq ${l3}`),
      'agent kvm-host',
      ...imageServers.map(() => 'agent backup-storage'),
    ],
    ...tellNetworks(nics, bridges),
  }
}

async function tellFiles(
  db: Session,
  { uuid, clusterUuid }: Row,
  imageServers: readonly Row[],
  seen: HostSight,
): Promise<Things> {
  const volumes = await db.all(
    `SELECT v.installPath AS path, v.size AS size,
       (v.status = 'Deleted' OR (m.state = 'Destroyed' AND m.rootVolumeUuid IS NULL)) AS mayBeGone
     FROM LocalStorageResourceRefVO r JOIN VolumeVO v ON v.uuid = r.resourceUuid
     LEFT JOIN VmInstanceVO m ON m.uuid = v.vmInstanceUuid WHERE r.hostUuid = ?`,
    [uuid ?? ''],
  )
  const images = await db.all(
    `SELECT installPath AS path FROM LocalStorageImageCacheVO WHERE hostUuid = ?
     UNION SELECT r.installPath FROM ImageBackupStorageRefVO r JOIN SftpBackupStorageVO s ON s.uuid = r.backupStorageUuid
       JOIN HostVO h ON h.managementIp = s.hostname WHERE h.uuid = ?`,
    [uuid ?? '', uuid ?? ''],
  )
  const storages = await db.all(
    `SELECT p.url AS url FROM PrimaryStorageVO p JOIN PrimaryStorageClusterRefVO r ON r.primaryStorageUuid = p.uuid
     WHERE r.clusterUuid = ?`,
    [clusterUuid ?? ''],
  )
  // A removal that was cut off is repeated by whoever wanted it.
  const due = volumes.filter(({ path, mayBeGone }) => mayBeGone !== 1 || seen.files.includes(String(path)))
  return {
    files: [
      ...[...due, ...images].map(({ path }) => String(path)),
      ...[...storages, ...imageServers].map(({ url }) => `${url}/.zstack-storage.json`),
    ],
    'sizes of volumes': due.map(({ path, size }) => `${path} ${size} bytes`),
    'images below disks': [],
  }
}

function tellNetworks(nics: readonly Row[], bridges: readonly Row[]): Things {
  const served = servedBy(nics)
  const short = (l3: string) => l3.slice(0, 11)
  const bridgeOf = (own: readonly Row[]) => `br_${own[0]?.device}`
  const leases = served.flatMap(([l3, own]) => own.map(({ mac, ip }) => `${l3.slice(0, 11)} ${mac} ${ip}`))
  return {
    interfaces: [
      ...['lo', 'eth0'],
      ...bridges.flatMap(({ device }) => [`br_${device}`, `${device} in br_${device}`]),
      ...served.map(([l3, own]) => `zs${short(l3)} in ${bridgeOf(own)}`),
      ...nics.map(({ internalName, device }) => `${internalName} in br_${device}`),
    ],
    'interfaces that are down': [],
    namespaces: served.map(([l3]) => `zs-${short(l3)}`),
    'DHCP reservations': leases,
    'tables of rules': served.map(([l3]) => `zs_${short(l3)}`),
    'leases in rules': leases,
    'taps in rules': served.flatMap(([l3, own]) =>
      own.map(({ mac, internalName }) => `${short(l3)} ${internalName} ${mac}`),
    ),
    'state of networks and migrations': served.map(([l3]) => `/var/lib/zstack/flat/${l3}`),
  }
}

/** NICs by the network whose DHCP serves them. */
function servedBy(nics: readonly Row[]): [l3: string, own: readonly Row[]][] {
  const served = nics.filter(({ isServed }) => Number(isServed) > 0)
  return [...Map.groupBy(served, ({ l3NetworkUuid }) => String(l3NetworkUuid))]
}

const states: Readonly<Record<string, string>> = { running: 'Running', paused: 'Paused' }

/** What was seen, in the words of the database. */
function arrange(seen: HostSight): Things {
  const { domains, disks, links } = seen
  const paths = new Set(seen.files)
  const fromTables = (kind: 'leases' | 'taps') =>
    [...seen.tables].flatMap(([name, table]) => table[kind].map((one) => `${name.slice(3)} ${one}`))
  return {
    files: seen.files,
    'sizes of volumes': disks
      .filter(({ path }) => /\/(root|data)Volumes\//.test(path))
      .map(({ path, virtualSize }) => `${path} ${virtualSize} bytes`),
    'images below disks': disks.flatMap(({ path, backing }) =>
      backing === undefined || paths.has(backing) ? [] : [`${backing} below ${path} is not there`],
    ),
    domains: domains.map(
      ({ name, state, cpus, memoryBytes }) =>
        `${name} ${states[state] ?? state} ${cpus} CPUs ${memoryBytes} bytes`,
    ),
    'disks of domains': domains.flatMap(({ name, disks: own }) => own.map((disk) => `${name} ${disk}`)),
    'NICs of domains': domains.flatMap(({ name, nics }) => nics.map((nic) => `${name} ${nic}`)),
    processes: seen.processes.flatMap(nameOfProcess),
    interfaces: links.map(({ name, master }) => (master === undefined ? name : `${name} in ${master}`)),
    'interfaces that are down': links.filter(({ isUp }) => !isUp).map(({ name }) => name),
    namespaces: seen.namespaces,
    'DHCP reservations': [...seen.reservations].flatMap(([conf, own]) =>
      own.map((one) => `${conf.split('/').at(-2)?.slice(0, 11)} ${one}`),
    ),
    'tables of rules': [...seen.tables.keys()],
    'leases in rules': fromTables('leases'),
    'taps in rules': fromTables('taps'),
    'state of networks and migrations': seen.remains,
  }
}

/** Those a cloud starts on a host. */
function nameOfProcess(command: string): string[] {
  const patterns: [name: string, pattern: RegExp][] = [
    ['guest', /^\S*qemu-system\S* .*guest=([^, ]*)/],
    ['dnsmasq', /^\S*dnsmasq .*\/([^/ ]*)\/dnsmasq\.conf/],
    ['agent', /\/agents\/([a-z-]*)\/main\.ts run /],
  ]
  return patterns.flatMap(([name, pattern]) => {
    const which = pattern.exec(command)?.[1]
    return which === undefined ? [] : [`${name} ${which}`]
  })
}

/** What is there twice counts twice. */
function compare(what: string, told: readonly string[], seen: readonly string[]): string[] {
  const missing = subtract(told, seen)
  const unknown = subtract(seen, told)
  return [
    ...(missing.length > 0 ? [`${what}: missing ${missing.join(', ')}`] : []),
    ...(unknown.length > 0 ? [`${what}: nobody knows of ${unknown.join(', ')}`] : []),
  ]
}

function subtract(from: readonly string[], what: readonly string[]): string[] {
  const left = [...what]
  return from.filter((one) => {
    const at = left.indexOf(one)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
}
