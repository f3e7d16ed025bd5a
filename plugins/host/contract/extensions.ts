import type { AgentClient, AgentEvent } from '#agent-rpc'
import { defineDriver, defineHook } from '#plugin-host'
import type { Host } from './resources.ts'

/** What a host turned out to have when it was connected. */
export interface HostFacts {
  readonly cpuNum: number
  readonly cpuSockets: number
  readonly totalMemoryBytes: number
  readonly architecture: string
}

/**
 * How the hosts of one hypervisor type are reached. Every hypervisor answers the commands of the KVM host agent's contract:
 * that contract is the hypervisor driver interface, and a connector is its transport.
 */
export interface HostConnector {
  /** Memory of a host that VMs never get, bytes. */
  reservedMemoryBytes(): number
  /** Whether guests of the host run with hardware acceleration. */
  acceleration(hostUuid: string): Promise<'kvm' | 'tcg'>
  /** Client of the host's agent, shared and bounded by the configured parallelism. Opens connections when first used. */
  client(hostUuid: string): Promise<AgentClient>
  /** Where the agents of other hosts reach the host's agent: the way VMs take when they move. */
  peerAddress(hostUuid: string): Promise<{ address: string; port: number }>
  /** Makes the agent run there in the version of this management node, and learns what the host has. Repeats are fine. */
  connect(host: Host, onProgress: (message: string) => void): Promise<HostFacts>
  /** Starts to follow the host's events; returns how to stop. `onDown` is told when the connection is lost. */
  follow(
    hostUuid: string,
    onEvent: (event: AgentEvent) => void,
    onDown: (reason: string) => void,
  ): Promise<() => void>
  /** Removes the agent from the host and forgets the connection. A host that cannot be reached is no error. */
  forget(hostUuid: string): Promise<void>
}

/** By hypervisor type: `KVM`, `Simulator`. */
export const hostConnector = defineDriver<HostConnector>('hypervisor')

/** A host that might take a VM, as the filters see it. */
export interface HostCandidate {
  readonly host: Host
}

/** What is to be placed. */
export interface PlacementSpec {
  readonly vmUuid: string
  readonly cpuNum: number
  readonly memorySize: number
  readonly zoneUuid?: string | undefined
  readonly clusterUuid?: string | undefined
  readonly hostUuid?: string | undefined
  readonly avoidHostUuids?: readonly string[] | undefined
  readonly l3NetworkUuids: readonly string[]
  /** Volumes that exist already: the host must reach them. */
  readonly volumeUuids?: readonly string[] | undefined
  /** Set when volumes are to be made on the host: the root volume, and the data volumes when they may go to the same storage. */
  readonly rootDiskBytes?: number | undefined
  readonly primaryStorageUuid?: string | undefined
  /** Set when the host will hold a copy of the VM's volumes that it does not have yet. */
  readonly withStorageMigration?: boolean | undefined
  /** Preferred over others when it passes every filter. */
  readonly preferredHostUuid?: string | undefined
}

/** Removes hosts that cannot take the VM, with a reason for each: people read it. */
export interface HostFilter {
  readonly name: string
  filter(candidates: readonly Host[], spec: PlacementSpec): Promise<Rejection[]>
}

export interface Rejection {
  readonly hostUuid: string
  readonly reason: string
}

export const hostFilter = defineHook<HostFilter>('host.filter')

/** Observes the life of hosts. */
export interface HostHook {
  /** The agent answers and facts are recorded; prepare what the host needs. A failure leaves the host Disconnected. */
  connected?(host: Host): Promise<void>
  /** The host does not answer any more. */
  disconnected?(host: Host): Promise<void>
  /** Throws when something must leave the host before it can be maintained. */
  beforeMaintain?(host: Host): Promise<void>
  /** Throws when the host must stay; runs before anything is removed. */
  beforeDelete?(host: Host): Promise<void>
  /** Removes what other plugins keep about the host, on the host too while it can be reached. */
  deleting?(host: Host): Promise<void>
  /** An event its agent reported. */
  event?(host: Host, event: AgentEvent): Promise<void>
}

export const hostHook = defineHook<HostHook>('host')
