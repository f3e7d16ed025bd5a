import type { AgentEvent } from '#agent-rpc'
import {
  createSimulatedBackupStorage,
  type SimulatedBackupStorage,
} from '#agents/simulator/backup-storage.ts'
import { createSimulatedHost, type SimulatedHost } from '#agents/simulator/kvm-host.ts'
import type { SimulatedWorld } from '#agents/simulator/world.ts'
import type { Disposable } from '#kernel'

export const HOST_PORT = 7070
export const IMAGE_PORT = 7171

/** What a simulated host is made of when it is heard of for the first time. */
export interface SimulatedFacts {
  readonly cpuNum: number
  readonly totalMemoryBytes: number
}

/** A host whose news may stop: `onDown` is told once, and nothing comes after it. */
export interface FollowedHost extends Pick<SimulatedHost, 'handlers'> {
  subscribe(onEvent: (event: AgentEvent) => void, onDown?: (reason: string) => void): Disposable
}

/** Simulated agents by address, wherever they live; one that is not there yet comes into being. */
export interface SimulatedAgents {
  host(address: string, facts: SimulatedFacts): FollowedHost
  forgetHost(address: string): void
  backupStorage(address: string): Pick<SimulatedBackupStorage, 'handlers'>
  forgetBackupStorage(address: string): void
}

/** The agents of a world in this process. */
export function agentsOf(world: SimulatedWorld): SimulatedAgents {
  const { hosts, backupStorages } = world
  return {
    host: (address, facts) =>
      hosts.get(address) ?? createSimulatedHost({ world, address, port: HOST_PORT, facts }),
    forgetHost: (address) => void hosts.delete(address),
    backupStorage: (address) =>
      backupStorages.get(address) ?? createSimulatedBackupStorage({ world, address, port: IMAGE_PORT }),
    forgetBackupStorage: (address) => void backupStorages.delete(address),
  }
}
