import {
  createSimulatedBackupStorage,
  type SimulatedBackupStorage,
} from '#agents/simulator/backup-storage.ts'
import { createSimulatedHost, type SimulatedHost } from '#agents/simulator/kvm-host.ts'
import type { SimulatedWorld } from '#agents/simulator/world.ts'

export const HOST_PORT = 7070
export const IMAGE_PORT = 7171

/** What a simulated host is made of when it is heard of for the first time. */
export interface SimulatedFacts {
  readonly cpuNum: number
  readonly totalMemoryBytes: number
}

/** Simulated agents by address, wherever they live; one that is not there yet comes into being. */
export interface SimulatedAgents {
  host(address: string, facts: SimulatedFacts): Pick<SimulatedHost, 'handlers' | 'subscribe'>
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
