import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import type { Endpoint } from '#db'
import { waitFor } from '#kernel'
import {
  cloneMember,
  environmentOf,
  type GaleraPlace,
  makeTemplate,
  memberArguments,
  recoverPosition,
} from './galera-files.ts'

export interface GaleraOptions {
  readonly members: number
  /** Where each member runs: an address, and the network namespace that has it. On loopback addresses when absent. */
  readonly places?: readonly { readonly host: string; readonly namespace: string }[]
}

/** A cluster of database servers on loopback addresses; its user is root, without a password. */
export interface Galera {
  readonly endpoints: readonly Endpoint[]
  /** Ends a member as a crash does; its files stay. */
  kill(member: number): Promise<void>
  /** Keeps a member from running: its connections stay open and answer nothing. */
  freeze(member: number): void
  thaw(member: number): void
  /** Starts a member that was killed, and waits until it is in the cluster and has caught up. */
  start(member: number): Promise<void>
  /** True when a member takes part in the cluster and may be used. */
  isReady(member: number): Promise<boolean>
  /** Ends every member and removes all files. */
  dispose(): Promise<void>
}

const needed = ['/usr/lib/galera/libgalera_smm.so', '/usr/sbin/mariadbd', '/usr/bin/rsync', '/dev/shm']
const missing = needed.filter((path) => !existsSync(path))
/** Why no cluster can be made here, or false. */
export const withoutGalera =
  missing.length > 0
    ? `needs mariadb-server, galera-4, rsync: ${missing} missing`
    : process.getuid?.() !== 0 && 'needs root, to run the members as the user mysql'

let clusters = 0

/**
 * Starts a cluster of this process's own, in about five seconds; the members and their files go with the process, also when
 * that is killed (then the files stay). Throws what a member says when it does not start.
 */
export async function startGalera({ members, places }: GaleraOptions): Promise<Galera> {
  const place = placeOf(clusters++, members, places)
  const running = new Map<number, ChildProcess>()
  const numbers = Array.from({ length: members }, (_, i) => i)
  const endAll = () => {
    for (const child of running.values()) child.kill('SIGKILL')
    rmSync(place.dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })
  }
  process.once('exit', endAll)
  const dispose = async () => {
    process.off('exit', endAll)
    await Promise.all([...running.values()].map(end))
    endAll()
  }
  const boot = (member: number, more: readonly string[]) => {
    const child = launch(place, member, more)
    running.set(member, child)
    return untilReady(place, member, child)
  }
  try {
    await makeTemplate(place, (more) => launch(place, 'template', more), end)
    for (const member of numbers) cloneMember(place, member)
    await Promise.all(numbers.map((member) => boot(member, [])))
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    endpoints: place.addresses.map((host) => ({ host, port: place.port })),
    kill: async (member) => {
      const child = running.get(member)
      running.delete(member)
      if (child !== undefined) await end(child)
    },
    freeze: (member) => void running.get(member)?.kill('SIGSTOP'),
    thaw: (member) => void running.get(member)?.kill('SIGCONT'),
    start: async (member) => {
      if (running.has(member)) throw new Error(`member ${member} runs already`)
      await boot(member, await recoverPosition(place, member))
    },
    isReady: (member) => isReady(place, member),
    dispose,
  }
}

/** No two processes that live at the same time have the same pid, so no address is asked for and none is raced for. */
function placeOf(cluster: number, members: number, places: GaleraOptions['places']): GaleraPlace {
  const { pid } = process
  const address = (i: number) => `127.${100 + cluster * members + i}.${(pid >> 8) & 255}.${pid & 255}`
  return {
    dir: `/dev/shm/zstack-galera-${cluster}-${pid}`,
    addresses: Array.from({ length: members }, (_, i) => places?.[i]?.host ?? address(i)),
    namespaces: places?.map(({ namespace }) => namespace),
    port: 10_000 + (pid >> 16),
  }
}

function launch(place: GaleraPlace, member: number | 'template', more: readonly string[]): ChildProcess {
  const log = openSync(join(place.dir, `${member}.log`), 'a')
  // Joiners are filled by rsync, which refuses to write as root. The kernel ends them all when we are gone, however we went.
  const asMysql = ['--reuid', 'mysql', '--regid', 'mysql', '--clear-groups', '--pdeathsig', 'KILL']
  const command = ['setpriv', ...asMysql, 'mariadbd', ...memberArguments(place, member), ...more]
  const namespace = place.namespaces?.[member === 'template' ? 0 : member]
  const enter = namespace === undefined ? [] : ['nsenter', `--net=/run/netns/${namespace}`, '--']
  const [program = '', ...args] = [...enter, ...command]
  const child = spawn(program, args, {
    stdio: ['ignore', log, log],
    env: environmentOf(place),
    // The kernel shares processors among sessions: one that has a network of its own is a machine of its own.
    detached: namespace !== undefined,
  })
  closeSync(log)
  child.unref()
  return child
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.ref()
  child.kill('SIGKILL')
  await gone
}

async function untilReady(place: GaleraPlace, member: number, child: ChildProcess): Promise<void> {
  const ready = () => {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(
        `member ${member} ended: ${readFileSync(join(place.dir, `${member}.log`), 'utf8').slice(-800)}`,
      )
    return isReady(place, member)
  }
  await waitFor(`member ${member} is ready`, ready, { intervalMs: 25, timeoutMs: 60_000 })
}

async function isReady({ addresses, port }: GaleraPlace, member: number): Promise<boolean> {
  const server = { host: addresses[member] ?? '', port, user: 'root', connectTimeout: 1_000 }
  try {
    const connection = await createConnection(server)
    // Broken connections are told by the statement.
    connection.on('error', () => undefined)
    const asked = { sql: "SHOW STATUS LIKE 'wsrep_ready'", timeout: 1_000 }
    const [rows] = (await connection.query(asked)) as unknown as [{ Value: string }[]]
    connection.destroy()
    return rows[0]?.Value === 'ON'
  } catch {
    // Not yet, or not now: that is the answer.
    return false
  }
}
