import { type ChildProcess, execFile, execFileSync } from 'node:child_process'
import { chownSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createConnection } from 'mysql2/promise'
import { waitFor } from '#kernel'

/** Where the members of a cluster are. */
export interface GaleraPlace {
  readonly dir: string
  readonly addresses: readonly string[]
  /** Network namespaces of the members; undefined when they all run where this process does. */
  readonly namespaces: readonly string[] | undefined
  readonly port: number
}

const COMMON = [
  '--no-defaults',
  '--skip-name-resolve',
  '--innodb-log-file-size=32M',
  '--innodb-data-file-path=ibdata1:4M:autoextend',
]
/** The directory for temporary files of this process may be closed to the user mysql. */
export const environmentOf = ({ dir }: GaleraPlace) => ({ ...process.env, TMPDIR: dir })
const run = async (place: GaleraPlace, program: string, args: readonly string[]) =>
  promisify(execFile)(program, args, { env: environmentOf(place) })

// Small, and careless about disks: it is other members that keep what one loses.
const SERVER = [
  '--innodb-buffer-pool-size=64M',
  '--innodb-flush-log-at-trx-commit=0',
  '--innodb-flush-method=nosync',
  '--innodb-autoinc-lock-mode=2',
  '--innodb-file-per-table=0',
  '--binlog-format=ROW',
  '--performance-schema=OFF',
  '--max-connections=500',
  '--character-set-server=utf8mb4',
]
// A crash is noticed after 1.5 s and acted on after 3 s at most; the defaults are 5 s and 15 s.
const PROVIDER = [
  'gcache.size=32M',
  'gcache.page_size=16M',
  'evs.keepalive_period=PT0.3S',
  'evs.suspect_timeout=PT1.5S',
  'evs.inactive_timeout=PT3S',
  'evs.install_timeout=PT3S',
  'evs.inactive_check_period=PT0.2S',
  'gmcast.peer_timeout=PT1S',
  'gmcast.time_wait=PT1S',
]

/**
 * Makes the data every member begins with. It is booted alone once: only then lies a position of the cluster in InnoDB, which a
 * member needs that is to join without copying everything.
 */
export async function makeTemplate(
  place: GaleraPlace,
  launch: (more: readonly string[]) => ChildProcess,
  end: (child: ChildProcess) => Promise<void>,
): Promise<void> {
  mkdirSync(place.dir, { mode: 0o755 })
  const data = dataOf(place, 'template')
  const { uid, gid } = await mysqlUser(place)
  chownSync(place.dir, uid, gid)
  const install = ['--auth-root-authentication-method=normal', '--skip-test-db', '--user=mysql']
  await run(place, 'mariadb-install-db', [...COMMON, `--datadir=${data}`, ...install])
  const child = launch(['--wsrep-new-cluster'])
  const socketPath = socketOf(place, 'template')
  const shutDown = async () => {
    if (child.exitCode !== null)
      throw new Error(
        `the template ended: ${readFileSync(join(place.dir, 'template.log'), 'utf8').slice(-800)}`,
      )
    if (!existsSync(socketPath)) return false
    // It is there before it answers.
    const connection = await createConnection({ socketPath, user: 'root' }).catch(() => undefined)
    const [rows] = ((await connection?.query("SHOW STATUS LIKE 'wsrep_ready'")) ?? [[]]) as unknown as [
      { Value: string }[],
    ]
    if (rows[0]?.Value !== 'ON') return false
    await connection?.query("CREATE USER root@'%'")
    await connection?.query("GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION")
    await connection?.query('SHUTDOWN')
    connection?.destroy()
    return true
  }
  try {
    await waitFor('the template is ready', shutDown, { intervalMs: 20, timeoutMs: 30_000 })
    await waitFor('the template is shut down', () => child.exitCode !== null, {
      intervalMs: 10,
      timeoutMs: 30_000,
    })
  } finally {
    await end(child)
  }
  for (const file of ['galera.cache', 'gvwstate.dat']) rmSync(join(data, file), { force: true })
}

/**
 * Gives a member its data, with a state as after a power cut of the whole cluster: all start at once and find each other again,
 * none has to be the first, none is filled by another.
 */
export function cloneMember(place: GaleraPlace, member: number): void {
  const data = dataOf(place, member)
  cpSync(dataOf(place, 'template'), data, { recursive: true, preserveTimestamps: true })
  const uuid = (i: number) => `0000000${i + 1}-0000-11f1-8000-000000000001`
  const members = place.addresses.map((_, i) => `member: ${uuid(i)} 0`)
  const view = [`view_id: 3 ${uuid(0)} 1`, 'bootstrap: 0', ...members].join('\n')
  writeFileSync(join(data, 'gvwstate.dat'), `my_uuid: ${uuid(member)}\n#vwbeg\n${view}\n#vwend\n`)
  execFileSync('chown', ['-R', 'mysql:mysql', data])
}

export function memberArguments(place: GaleraPlace, member: number | 'template'): string[] {
  const address = place.addresses[member === 'template' ? 0 : member] ?? ''
  const cluster = member === 'template' ? '' : place.addresses.join()
  const provider = [`gmcast.listen_addr=tcp://${address}:4567`, `ist.recv_addr=${address}:4568`, ...PROVIDER]
  return [
    ...COMMON,
    ...SERVER,
    `--datadir=${dataOf(place, member)}`,
    `--socket=${socketOf(place, member)}`,
    `--pid-file=${join(place.dir, `${member}.pid`)}`,
    `--bind-address=${address}`,
    `--port=${place.port}`,
    '--wsrep-on=ON',
    '--wsrep-provider=/usr/lib/galera/libgalera_smm.so',
    '--wsrep-cluster-name=zstack-test',
    `--wsrep-cluster-address=gcomm://${cluster}`,
    `--wsrep-node-name=m${member}`,
    `--wsrep-node-address=${address}`,
    '--wsrep-sst-method=rsync',
    '--wsrep-slave-threads=2',
    `--wsrep-provider-options=${provider.join(';')}`,
  ]
}

/** What a member that crashed needs to be told when it starts: the position it had reached. */
export async function recoverPosition(place: GaleraPlace, member: number): Promise<string[]> {
  const log = join(place.dir, `${member}.recovery.log`)
  rmSync(log, { force: true })
  const data = [`--datadir=${dataOf(place, member)}`, '--user=mysql', '--binlog-format=ROW']
  const galera = [
    '--wsrep-on=ON',
    '--wsrep-provider=/usr/lib/galera/libgalera_smm.so',
    '--wsrep-cluster-address=gcomm://',
  ]
  await run(place, 'mariadbd', [...COMMON, ...data, ...galera, '--wsrep-recover', `--log-error=${log}`])
  const position = /Recovered position: *(\S+)/.exec(readFileSync(log, 'utf8'))?.[1]
  return position === undefined ? [] : [`--wsrep-start-position=${position}`]
}

const dataOf = (place: GaleraPlace, member: number | 'template') => join(place.dir, `${member}.data`)
const socketOf = (place: GaleraPlace, member: number | 'template') => join(place.dir, `${member}.sock`)

async function mysqlUser(place: GaleraPlace): Promise<{ uid: number; gid: number }> {
  const of = async (flag: string) => Number((await run(place, 'id', [flag, 'mysql'])).stdout)
  return { uid: await of('-u'), gid: await of('-g') }
}
