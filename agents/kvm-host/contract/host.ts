import { defineAgentCall } from '#agent-rpc'
import { bool, bytes, choice, int, list, optional, struct, text, timestamp } from '#contract'

/** State of a domain as the management knows it. */
export const vmStates = ['Running', 'Stopped', 'Paused', 'Crashed'] as const
export type AgentVmState = (typeof vmStates)[number]

export const hostFacts = defineAgentCall({
  name: 'host.facts',
  summary: 'What this host is and has.',
  timeoutMs: 30_000,
  input: {},
  output: {
    hostname: text('Name of the host.'),
    osDistribution: text('ID of /etc/os-release, `debian`.'),
    osRelease: text('VERSION_CODENAME, or VERSION_ID when there is none.'),
    osVersion: text('VERSION_ID.'),
    architecture: text('`x86_64`, `aarch64`.'),
    cpuModel: text('Model name of the first CPU.'),
    cpuNum: int('Online logical CPUs.', [1, 65_536]),
    cpuSockets: int('CPU sockets.', [0, 65_536]),
    totalMemoryBytes: bytes('Memory of the host.'),
    libvirtVersion: text('`9.0.0`.'),
    qemuVersion: text('`7.2.0`.'),
    bootId: text('Changes at each boot of the host.'),
    bootedAt: timestamp('When the host booted.'),
    agentVersion: text('Hash of the running agent bundle.'),
    interfaces: list('Network interfaces that may carry an L2 network.', text('Name.')),
  },
})

export const hostPing = defineAgentCall({
  name: 'host.ping',
  summary: 'Proves that the agent and libvirt answer.',
  timeoutMs: 5_000,
  input: {},
  output: {
    bootId: text('Changes at each boot of the host.'),
    agentVersion: text('Hash of the running agent bundle.'),
    agentStartedAt: timestamp('When the agent started.'),
  },
})

export const probeAcceleration = defineAgentCall({
  name: 'host.probe-acceleration',
  summary:
    'Runs a tiny guest to learn whether hardware acceleration really works here; the answer is cached for the boot.',
  timeoutMs: 60_000,
  input: {},
  output: {
    acceleration: choice('kvm, or tcg when only software emulation works.', ['kvm', 'tcg']),
    reason: text('What was tried and what came of it.'),
  },
})

const vmState = struct('AgentVm', 'A domain of ours on this host.', {
  vmUuid: text('Uuid of the VM.'),
  state: choice('Its state.', vmStates),
})

export const listVms = defineAgentCall({
  name: 'host.list-vms',
  summary: 'Every domain of this host with its state; the management compares it with what it believes.',
  input: {},
  output: {
    vms: list('Domains that run, are paused or have crashed.', vmState),
    unknown: optional(
      list('Running domains that are not ours; never touched, but people should know.', text('Name.')),
    ),
  },
})

export const hostCapacity = defineAgentCall({
  name: 'host.capacity',
  summary: 'Memory in use now.',
  input: {},
  output: { totalMemoryBytes: bytes('Memory.'), usedMemoryBytes: bytes('In use, without caches.') },
})

/** Pushed when libvirt reports a life-cycle change: event `vm.state`. */
export const vmStateEvent = {
  name: 'vm.state',
  data: {
    vmUuid: text('Uuid of the VM.'),
    state: choice('Its new state.', vmStates),
    reason: optional(text("libvirt's word for why: `shutdown`, `destroyed`, `crashed`, `migrated`.")),
    byAgent: bool('True when a command of ours caused it.'),
  },
} as const
