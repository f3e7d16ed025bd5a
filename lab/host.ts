/** One virtual host: its boot, its death, and running commands in it. */
import { spawn } from 'node:child_process'
import { access, cp, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { waitFor } from '#kernel'
import { isFrozen, killGroup, setFrozen } from './cgroup.ts'
import { type CommandOptions, type CommandResult, runCommand } from './command.ts'
import {
  cacheDir,
  cgroupDir,
  HOST_INIT,
  hostDir,
  type LabConfig,
  networkNamespace,
  stateDir,
} from './config.ts'
import { LabError } from './error.ts'
import type { HostRecord, LabState } from './state.ts'
import { portsOf, removePorts, setPorts } from './switch.ts'

export type HostCondition = 'running' | 'booting' | 'frozen' | 'off'

const BOOT_TIMEOUT_MS = 60_000
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Boots a host, or boots it again with the disk an earlier crash left; does nothing when it is up. */
export async function bootHost(state: LabState, host: HostRecord): Promise<void> {
  const lab = state.config.name
  if ((await conditionOf(state.config, host.name)) !== 'off') return
  const dir = hostDir(lab, host.name)
  const disk = join(state.config.diskDir, host.name, 'zstack_ps')
  for (const sub of ['upper', 'work', 'root']) await mkdir(join(dir, sub), { recursive: true })
  await mkdir(disk, { recursive: true })
  for (const leaf of ['supervisor', 'os'])
    await mkdir(join(groupOf(lab, host.name), leaf), { recursive: true })
  await writeFile(join(dir, 'conf'), await settings(state, host, disk), { mode: 0o600 })
  await startSupervisor(dir)
  await awaitBoot(state.config, host.name)
}

async function startSupervisor(dir: string): Promise<void> {
  await writeFile(join(dir, 'events'), '')
  const console = await open(join(dir, 'console'), 'a')
  const child = spawn(HOST_INIT, ['supervise', dir], {
    detached: true,
    stdio: ['ignore', console.fd, console.fd],
    env: { PATH },
  })
  child.unref()
  await console.close()
}

async function awaitBoot(config: LabConfig, host: string): Promise<void> {
  const dir = hostDir(config.name, host)
  const supervisors = join(groupOf(config.name, host), 'supervisor', 'cgroup.procs')
  let joined = false
  try {
    const goal = config.init === 'mini' ? 'ready' : 'booted'
    const outcome = await waitFor(
      `host ${host} to boot`,
      async () => {
        if ((await readFile(join(dir, 'events'), 'utf8')).includes(goal)) return goal
        const alive = (await readFile(supervisors, 'utf8')) !== ''
        if (joined && !alive) return 'stopped'
        joined ||= alive
        return false
      },
      { timeoutMs: BOOT_TIMEOUT_MS },
    )
    if (outcome === 'stopped') throw new LabError('it stopped while booting')
    if (config.init === 'systemd') await awaitSystemd(config, host)
  } catch (cause) {
    const tail = (await readFile(join(dir, 'console'), 'utf8')).trim().split('\n').slice(-8).join('\n')
    throw new LabError(`host ${host} did not come up: ${(cause as Error).message}; console:\n${tail}`, {
      cause,
    })
  }
  await keepCapabilities(config.name, host)
}

async function awaitSystemd(config: LabConfig, host: string): Promise<void> {
  const ask = ['sh', '-c', 'systemctl is-system-running --wait; virsh -q -c qemu:///system version']
  await waitFor(
    `systemd on ${host}`,
    async () => (await execInHost(config, host, ask, { allowFailure: true })).status === 0,
    { timeoutMs: BOOT_TIMEOUT_MS },
  )
}

/**
 * libvirt's probing of qemu takes most of a second; it notices by itself when the files it kept are out of
 * date.
 */
async function keepCapabilities(lab: string, host: string): Promise<void> {
  const found = join(hostDir(lab, host), 'upper/var/cache/libvirt/qemu/capabilities')
  const kept = capabilitiesCache()
  if ((await exists(kept)) || !(await exists(found))) return
  const fresh = `${kept}.${process.pid}.${host}`
  await cp(found, fresh, { recursive: true, preserveTimestamps: true })
  await rename(fresh, kept).catch(() => rm(fresh, { recursive: true }))
}

/** Copies what an earlier lab learnt about qemu to where the hosts of this one look for it. */
export async function offerCapabilities(lab: string): Promise<void> {
  await mkdir(cacheDir(), { recursive: true })
  if (!(await exists(capabilitiesCache()))) return
  const target = join(stateDir(lab), 'qemu-capabilities')
  await cp(capabilitiesCache(), target, { recursive: true, preserveTimestamps: true })
}

/** The power cord: cables first, so that peers see silence and no closed connections; the disk stays. */
export async function crashHost(config: LabConfig, host: string): Promise<void> {
  await setPorts(config.name, host, false)
  await killGroup(groupOf(config.name, host))
  await removePorts(config.name, host)
  await rm(join(hostDir(config.name, host), 'init.pid'), { force: true })
  await writeFile(join(osGroup(config.name, host), 'cgroup.freeze'), '0')
}

export async function freezeHost(config: LabConfig, host: string, frozen: boolean): Promise<void> {
  if ((await conditionOf(config, host)) === 'off') throw new LabError(`host ${host} is off`)
  await setFrozen(osGroup(config.name, host), frozen)
}

export async function conditionOf(config: LabConfig, host: string): Promise<HostCondition> {
  const dir = hostDir(config.name, host)
  const procs = await readFile(join(groupOf(config.name, host), 'supervisor', 'cgroup.procs'), 'utf8').catch(
    () => '',
  )
  if (procs === '') return 'off'
  if (await isFrozen(osGroup(config.name, host))) return 'frozen'
  return (await exists(join(dir, 'init.pid'))) ? 'running' : 'booting'
}

/** argv prefix that runs a command inside a host; rejects when the host is off or frozen (it would hang). */
export async function hostCommand(
  config: LabConfig,
  host: string,
  argv: readonly string[],
): Promise<string[]> {
  const condition = await conditionOf(config, host)
  if (condition === 'off' || condition === 'frozen') throw new LabError(`host ${host} is ${condition}`)
  const pidFile = join(hostDir(config.name, host), 'init.pid')
  const pid = await waitFor(
    `host ${host} to boot`,
    async () => (await readFile(pidFile, 'utf8').catch(() => '')).trim() || undefined,
    { timeoutMs: BOOT_TIMEOUT_MS },
  )
  const enter = ['nsenter', '-t', pid, '-m', '-u', '-i', '-n', '-p', '-C', '-T', '-r', '-w', '--']
  const confine = ['setpriv', '--bounding-set', '-sys_time', '--', 'env', '-i', `PATH=${PATH}`, 'HOME=/root']
  const term = `TERM=${process.env.TERM ?? 'dumb'}`
  return [HOST_INIT, 'enter', osGroup(config.name, host), ...enter, ...confine, term, ...argv]
}

export async function execInHost(
  config: LabConfig,
  host: string,
  argv: readonly string[],
  options?: CommandOptions,
): Promise<CommandResult> {
  return runCommand(await hostCommand(config, host, argv), options)
}

export async function cutHost(config: LabConfig, host: string, cut: boolean): Promise<void> {
  const mark = join(hostDir(config.name, host), 'cut')
  if (cut) await writeFile(mark, '')
  else await rm(mark, { force: true })
  await setPorts(config.name, host, !cut)
}

function groupOf(lab: string, host: string): string {
  return join(cgroupDir(lab), host)
}

/** systemd makes groups of its own below; freezing and killing reach them all. */
function osGroup(lab: string, host: string): string {
  return join(groupOf(lab, host), 'os')
}

function capabilitiesCache(): string {
  return join(cacheDir(), 'qemu-capabilities')
}

async function settings(state: LabState, host: HostRecord, disk: string): Promise<string> {
  const { config, nat } = state
  const hash = await runCommand(['openssl', 'passwd', '-6', '-stdin'], { input: `${config.password}\n` })
  const values: Record<string, string> = {
    NAME: host.name,
    ADDRESS: host.address,
    GATEWAY: `${config.managementPrefix}.1`,
    MAC0: macOf('02:98', host.address),
    MAC1: macOf('02:99', host.address),
    PORT0: portsOf(host.name)[0],
    PORT1: portsOf(host.name)[1],
    SWITCH: networkNamespace(config.name),
    CGROUP: groupOf(config.name, host.name),
    DISK: disk,
    INIT: config.init,
    HIDE: config.hide.join(' '),
    DNS: nat.on ? nat.resolver : '',
    KVM: config.kvm ? 'yes' : '',
    HOST_UUID: host.hostUuid,
    PASSWORD_HASH: hash.stdout.trim(),
  }
  return Object.entries(values)
    .map(([name, value]) => `${name}=${quote(value)}\n`)
    .join('')
}

/** Derived from the address, so that the neighbours' ARP caches stay right over a reboot. */
function macOf(prefix: string, address: string): string {
  const octets = address.split('.').map((octet) => Number(octet).toString(16).padStart(2, '0'))
  return `${prefix}:${octets.join(':')}`
}

function quote(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
