import { CloudError, sysErrors } from '#kernel'
import type { SimulatedBackupStorage } from './backup-storage.ts'
import type { SimulatedHost } from './kvm-host.ts'

/** Everything that can reach everything: simulated hosts and backup storages by address. */
export interface SimulatedWorld {
  readonly hosts: Map<string, SimulatedHost>
  readonly backupStorages: Map<string, SimulatedBackupStorage>
}

export function createSimulatedWorld(): SimulatedWorld {
  return { hosts: new Map(), backupStorages: new Map() }
}

/** Adds an agent under its address, which must be free. */
export function settle<T extends { readonly address: string }>(place: Map<string, T>, agent: T): T {
  if (place.has(agent.address))
    throw new Error(`the simulated world has an agent at ${agent.address} already`)
  place.set(agent.address, agent)
  return agent
}

/** The agent at an address, once it answers. Throws SYS.1016 when none listens there or it is dead. */
export async function dial<T extends { readonly port: number; reach(): Promise<void> }>(
  place: Map<string, T>,
  address: string,
  port: number,
): Promise<T> {
  const agent = place.get(address)
  if (agent === undefined || agent.port !== port) {
    throw new CloudError(
      sysErrors.ioError,
      `cannot connect to the agent at ${address}:${port}: no agent there`,
    )
  }
  await agent.reach()
  return agent
}
