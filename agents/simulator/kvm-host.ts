import { createHash } from 'node:crypto'
import type { AgentEvent, AgentHandlers } from '#agent-rpc'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import type { Disposable } from '#kernel'
import { SimulatedFiles } from './files.ts'
import { createHostHandlers } from './host-area.ts'
import type { HostCore, HostState } from './host-state.ts'
import { type CallKnobs, gateHandlers } from './knobs.ts'
import { createMigrationHandlers } from './migration.ts'
import { createNetworkHandlers } from './network-area.ts'
import { Power } from './power.ts'
import { createStorageHandlers } from './storage-area.ts'
import { createVmDeviceHandlers } from './vm-devices.ts'
import { changeState, endDomain } from './vm-domain.ts'
import { createVmPowerHandlers } from './vm-power.ts'
import { createSimulatedWorld, type SimulatedWorld, settle } from './world.ts'

type HostHandlers = AgentHandlers<typeof kvmHostCalls>

/** What a host is made of; everything has a default. */
export interface SimulatedHostOptions {
  /** Hosts and backup storages it can reach; its own world when absent. */
  readonly world?: SimulatedWorld
  readonly address?: string
  readonly port?: number
  readonly facts?: Partial<Omit<HostState['facts'], 'bootId' | 'bootedAt'>>
  readonly acceleration?: 'kvm' | 'tcg'
  /** Size of the one file system all storage roots lie on. */
  readonly totalDiskBytes?: number
  /** Milliseconds since the epoch, for boot times and events. */
  readonly now?: () => number
}

export interface HostKnobs extends CallKnobs<keyof HostHandlers> {
  /** QEMU dies: the VM is Crashed until it is started, stopped or destroyed. */
  crashVm(vmUuid: string): void
  /** The guest powers itself off. */
  guestShutdown(vmUuid: string): void
  /** The guest stops reacting to the power button until it is started anew. */
  ignoreAcpi(vmUuid: string): void
  /** Changes the size of the file system; smaller than what is used means full. */
  resizeDisk(totalBytes: number): void
}

/** A KVM host that exists in memory only. */
export interface SimulatedHost {
  readonly address: string
  readonly port: number
  readonly handlers: HostHandlers
  readonly state: HostState
  readonly knobs: HostKnobs
  /** Calls `listener` with each event from now on, until disposed of. */
  subscribe(listener: (event: AgentEvent) => void): Disposable
  /** How other agents dial it: ends when it answers, SYS.1016 when it is dead. */
  reach(): Promise<void>
  /** What its handlers work on; for other simulated agents. */
  readonly core: HostCore
}

/** Makes a host, up and running, and settles it in its world. The same options make the same host. */
export function createSimulatedHost(options: SimulatedHostOptions = {}): SimulatedHost {
  const { address = '10.0.0.1', port = 7070, now = Date.now, world = createSimulatedWorld() } = options
  const name = `host ${address}:${port}`
  const listeners = new Set<(event: AgentEvent) => void>()
  const emit = (event: AgentEvent) => {
    for (const listener of listeners) listener(event)
  }
  const core: HostCore = { name, state: createState(name, address, now, options), world, emit, now }
  const power = new Power(name)
  const { handlers, knobs } = gateHandlers(kvmHostCalls, createHandlers(core), power)
  return settle(world.hosts, {
    address,
    port,
    core,
    handlers,
    state: core.state,
    knobs: { ...knobs, ...createHostKnobs(core, power, address) },
    subscribe: (listener) => {
      listeners.add(listener)
      return { dispose: () => void listeners.delete(listener) }
    },
    reach: () => power.pass(),
  })
}

function createHandlers(core: HostCore): HostHandlers {
  return {
    ...createHostHandlers(core),
    ...createStorageHandlers(core),
    ...createVmPowerHandlers(core),
    ...createVmDeviceHandlers(core),
    ...createMigrationHandlers(core),
    ...createNetworkHandlers(core),
  }
}

function createState(
  name: string,
  address: string,
  now: () => number,
  options: SimulatedHostOptions,
): HostState {
  const startedAtMs = now()
  return {
    facts: {
      hostname: `sim-${address.replaceAll('.', '-')}`,
      osDistribution: 'debian',
      osRelease: 'bookworm',
      osVersion: '12',
      architecture: 'x86_64',
      cpuModel: 'Simulated CPU',
      cpuNum: 32,
      cpuSockets: 2,
      totalMemoryBytes: 128 * 2 ** 30,
      libvirtVersion: '9.0.0',
      qemuVersion: '7.2.0',
      agentVersion: 'simulated',
      interfaces: ['eth0', 'eth1'],
      ...options.facts,
      bootId: bootIdOf(address, 1),
      bootedAt: startedAtMs,
    },
    acceleration: options.acceleration ?? 'kvm',
    startedAtMs,
    files: new SimulatedFiles(name, options.totalDiskBytes ?? 2 ** 40),
    vms: new Map(),
    diskUsers: new Map(),
    tapUsers: new Map(),
    usedMemoryBytes: 0,
    bridges: new Map(),
    networks: new Map(),
    incoming: new Map(),
  }
}

function createHostKnobs(core: HostCore, power: Power, address: string) {
  const { state } = core
  let boots = 1
  return {
    crash: () => {
      power.crash()
      const { vms, diskUsers, tapUsers, bridges, networks, incoming } = state
      for (const lost of [vms, diskUsers, tapUsers, bridges, networks, incoming]) lost.clear()
      state.usedMemoryBytes = 0
    },
    start: () => {
      if (power.state !== 'down') return
      boots += 1
      state.startedAtMs = core.now()
      state.facts = { ...state.facts, bootId: bootIdOf(address, boots), bootedAt: state.startedAtMs }
      power.start()
    },
    crashVm: (vmUuid: string) =>
      changeState(core, domainOf(core, vmUuid), 'Crashed', { reason: 'crashed', byAgent: false }),
    guestShutdown: (vmUuid: string) =>
      endDomain(core, domainOf(core, vmUuid).spec.vmUuid, { reason: 'shutdown', byAgent: false }),
    ignoreAcpi: (vmUuid: string) => {
      domainOf(core, vmUuid).ignoresAcpi = true
    },
    resizeDisk: (totalBytes: number) => state.files.resize(totalBytes),
  }
}

// A knob turned on a VM that is not there is a mistake in the test that turns it.
function domainOf(core: HostCore, vmUuid: string) {
  const vm = core.state.vms.get(vmUuid)
  if (vm === undefined) throw new Error(`there is no domain ${vmUuid} on ${core.name}`)
  return vm
}

function bootIdOf(address: string, boot: number): string {
  return createHash('sha256').update(`${address} boot ${boot}`).digest('hex').slice(0, 32)
}
