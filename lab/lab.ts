/**
 * A lab: N isolated virtual hosts on one Linux machine, with a switch between them (see README.md).
 * The state lives in files, so any process can open a lab by its name and go on with it.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { killGroup, removeGroup } from './cgroup.ts'
import { type CommandOptions, type CommandResult, runCommand } from './command.ts'
import {
  cgroupDir,
  checkHostName,
  FIRST_HOST_OCTET,
  type LabConfig,
  type LabOptions,
  MAX_HOSTS,
  settleConfig,
  stateDir,
} from './config.ts'
import { LabError } from './error.ts'
import {
  bootHost,
  conditionOf,
  crashHost,
  cutHost,
  execInHost,
  freezeHost,
  type HostCondition,
  hostCommand,
  offerCapabilities,
} from './host.ts'
import { type LabState, type NatState, readState, writeState } from './state.ts'
import {
  createSwitch,
  type Forward,
  forwardPort,
  removeSwitch,
  setBlocked,
  startNat,
  switchCommand,
  switchExists,
} from './switch.ts'

export interface LabHost {
  name: string
  address: string
  user: 'root'
  password: string
  /** A private key that logs in as root (path of the file). */
  privateKeyFile: string
  exec(argv: readonly string[], options?: CommandOptions): Promise<CommandResult>
  /** The argv that runs a command inside, for callers that spawn it themselves. */
  command(argv: readonly string[]): Promise<string[]>
  condition(): Promise<HostCondition>
  /** Power loss. The disk stays; `start` boots it again. */
  crash(): Promise<void>
  start(): Promise<void>
  /** A hung host: the kernel's network stack still answers, no process runs. */
  freeze(): Promise<void>
  thaw(): Promise<void>
  /**
   * Without a peer: all cables out. With one (a host, or `switch` = the management server): no frames
   * between the two.
   */
  cut(peer?: string): Promise<void>
  heal(peer?: string): Promise<void>
}

export interface SpawnOptions {
  stdio?: StdioOptions
  env?: NodeJS.ProcessEnv
  cwd?: string
}

export interface LabStatus {
  name: string
  up: boolean
  /** Address of the switch namespace on the management network. */
  address?: string
  nat?: NatState
  hosts: { name: string; address: string; state: HostCondition }[]
}

export interface Lab {
  name: string
  /** Idempotent: makes what is missing, boots hosts that are off, adds hosts up to the wanted number. */
  up(wanted?: { hosts?: number }): Promise<LabStatus>
  status(): Promise<LabStatus>
  host(name: string): LabHost
  runInSwitch(argv: readonly string[], options?: CommandOptions): Promise<CommandResult>
  commandInSwitch(argv: readonly string[]): string[]
  /**
   * For servers; killed with the lab. Uses nsenter on the network namespace alone, so mounts stay the
   * machine's.
   */
  spawnInSwitch(argv: readonly string[], options?: SpawnOptions): ChildProcess
  /** Makes a port served in the switch reachable on the machine's loopback. */
  forward(forward: Forward): Promise<void>
  /** Removes everything: processes, namespaces, mounts, cgroups, files, disks. */
  down(): Promise<void>
}

/** Opens a lab by name; makes nothing yet. Options count when the lab is made by the first `up`. */
export function createLab(options: LabOptions = {}): Lab {
  const wantedConfig = settleConfig(options)
  const lab = wantedConfig.name
  return {
    name: lab,
    up: ({ hosts = 2 } = {}) => bringUp(wantedConfig, hosts),
    status: () => statusOf(lab),
    host: (name) => openHost(lab, name),
    runInSwitch: async (argv, run) => runCommand(switchCommand(existing(lab), argv), run),
    commandInSwitch: (argv) => switchCommand(existing(lab), argv),
    spawnInSwitch: (argv, run) => spawnCommand(switchCommand(existing(lab), argv), run),
    forward: (forward) => forwardPort(lab, forward),
    down: () => takeDown(wantedConfig),
  }
}

async function bringUp(config: LabConfig, count: number): Promise<LabStatus> {
  if (!Number.isInteger(count) || count < 1 || count > MAX_HOSTS) {
    throw new LabError(`a lab has 1 to ${MAX_HOSTS} hosts, not ${count}`)
  }
  if (process.getuid?.() !== 0) throw new LabError('the lab makes namespaces and mounts: run it as root')
  const state = readState(config.name) ?? (await createLabState(config))
  while (state.hosts.length < count) {
    const index = state.hosts.length
    const address = `${state.config.managementPrefix}.${FIRST_HOST_OCTET + index}`
    state.hosts.push({ name: `host${index + 1}`, address, hostUuid: randomUUID() })
  }
  await writeState(state)
  await Promise.all(state.hosts.map((host) => bootHost(state, host)))
  return statusOf(config.name)
}

async function createLabState(config: LabConfig): Promise<LabState> {
  // what an interrupted attempt left would make the next steps fail
  await takeDown(config)
  const dir = stateDir(config.name)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await mkdir(join(cgroupDir(config.name), 'switch'), { recursive: true })
  await runCommand([
    'ssh-keygen',
    '-q',
    '-t',
    'ed25519',
    '-N',
    '',
    '-C',
    `lab-${config.name}`,
    '-f',
    join(dir, 'key'),
  ])
  await writeFile(join(dir, 'hosts.txt'), hostsFile(config))
  await offerCapabilities(config.name)
  await createSwitch(config)
  return { config, nat: await startNat(config), hosts: [] }
}

/**
 * Names of all hosts there can be soon: migration looks its target up by name, and there is no name server.
 */
function hostsFile(config: LabConfig): string {
  const named = Array.from({ length: 32 }, (_, index) => {
    return `${config.managementPrefix}.${FIRST_HOST_OCTET + index} host${index + 1}`
  })
  return ['127.0.0.1 localhost', `${config.managementPrefix}.1 management`, ...named, ''].join('\n')
}

async function takeDown(config: LabConfig): Promise<void> {
  const lab = config.name
  const diskDir = readState(lab)?.config.diskDir ?? config.diskDir
  await killGroup(cgroupDir(lab))
  await removeSwitch(lab)
  await removeGroup(cgroupDir(lab))
  await rm(diskDir, { recursive: true, force: true })
  await removeWhenEmpty(dirname(diskDir))
  await rm(stateDir(lab), { recursive: true, force: true })
}

async function removeWhenEmpty(path: string): Promise<void> {
  // other labs keep their disks there; `rmdir` refuses then, which is what is wanted
  await runCommand(['rmdir', '--', path], { allowFailure: true })
}

async function statusOf(lab: string): Promise<LabStatus> {
  const state = readState(lab)
  if (!state) return { name: lab, up: false, hosts: [] }
  const hosts = state.hosts.map(async ({ name, address }) => {
    return { name, address, state: await conditionOf(state.config, name) }
  })
  const address = `${state.config.managementPrefix}.1`
  return { name: lab, up: await switchExists(lab), address, nat: state.nat, hosts: await Promise.all(hosts) }
}

function openHost(lab: string, name: string): LabHost {
  const state = load(lab)
  const { config } = state
  const record = find(state, name)
  const cut = (peer: string | undefined, blocked: boolean) => {
    if (peer === undefined) return cutHost(config, name, blocked)
    if (peer !== 'switch') find(state, peer)
    return setBlocked(lab, [name, peer], blocked)
  }
  return {
    name,
    address: record.address,
    user: 'root',
    password: config.password,
    privateKeyFile: join(stateDir(lab), 'key'),
    exec: (argv, options) => execInHost(config, name, argv, options),
    command: (argv) => hostCommand(config, name, argv),
    condition: () => conditionOf(config, name),
    crash: () => crashHost(config, name),
    start: () => bootHost(state, record),
    freeze: () => freezeHost(config, name, true),
    thaw: () => freezeHost(config, name, false),
    cut: (peer) => cut(peer, true),
    heal: (peer) => cut(peer, false),
  }
}

function find(state: LabState, name: string) {
  const record = state.hosts.find((host) => host.name === checkHostName(name))
  if (record) return record
  const known = state.hosts.map((host) => host.name).join(', ')
  throw new LabError(`lab ${state.config.name} has no host '${name}'; it has ${known}`)
}

function load(lab: string): LabState {
  const state = readState(lab)
  if (!state) throw new LabError(`there is no lab '${lab}'; make it with: lab up --name ${lab}`)
  return state
}

function existing(lab: string): string {
  return load(lab).config.name
}

function spawnCommand(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
  const [file, ...args] = argv
  return spawn(file as string, args, options)
}
