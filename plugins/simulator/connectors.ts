import { type AgentClient, createLocalAgent } from '#agent-rpc'
import { backupStorageCalls, initBackupStorage } from '#agents/backup-storage/contract/index.ts'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import {
  createSimulatedBackupStorage,
  type SimulatedBackupStorage,
} from '#agents/simulator/backup-storage.ts'
import { createSimulatedHost, type SimulatedHost } from '#agents/simulator/kvm-host.ts'
import type { SimulatedWorld } from '#agents/simulator/world.ts'
import { findOne, get } from '#db'
import type { PluginContext } from '#plugin-host'
import type { BackupStorageConnector } from '#plugins/backup-storage/contract/extensions.ts'
import { backupStorage } from '#plugins/backup-storage/contract/resources.ts'
import type { HostConnector } from '#plugins/host/contract/extensions.ts'
import { type Host, host } from '#plugins/host/contract/resources.ts'

const AGENT_PORT = 7070
const IMAGE_PORT = 7171

/** Hosts of the simulated world by their address; one that is not there yet comes into being with what its row says. */
export function createHostConnector(ctx: PluginContext, world: SimulatedWorld): HostConnector {
  const clients = new Map<string, AgentClient>()
  const simulated = (row: Host): SimulatedHost => {
    const { managementIp: address, cpuNum, totalMemoryCapacity: totalMemoryBytes } = row
    const facts = { cpuNum, totalMemoryBytes }
    return world.hosts.get(address) ?? createSimulatedHost({ world, address, port: AGENT_PORT, facts })
  }
  const hostOf = async (uuid: string) => simulated(await get(ctx.db, host, uuid))
  const client = async (uuid: string) => {
    const kept = clients.get(uuid)
    if (kept !== undefined) return kept
    const made = createLocalAgent(kvmHostCalls, (await hostOf(uuid)).handlers)
    clients.set(uuid, made)
    return made
  }
  return {
    client,
    reservedMemoryBytes: () => 0,
    acceleration: async () => 'kvm',
    connect: async (row) => {
      const facts = await (await client(row.uuid)).call(kvmHostCalls.hostFacts, {})
      const { cpuNum, cpuSockets, totalMemoryBytes, architecture } = facts
      return { cpuNum, cpuSockets, totalMemoryBytes, architecture }
    },
    follow: async (uuid, onEvent) => {
      const subscription = (await hostOf(uuid)).subscribe(onEvent)
      return () => void subscription.dispose()
    },
    forget: async (uuid) => {
      clients.delete(uuid)
      const row = await findOne(ctx.db, host, { uuid })
      if (row !== undefined) world.hosts.delete(row.managementIp)
    },
  }
}

/** Backup storages of the simulated world; each has an address of its own made of its uuid. */
export function createBackupStorageConnector(
  ctx: PluginContext,
  world: SimulatedWorld,
): BackupStorageConnector {
  const addressOf = (uuid: string) => `bs-${uuid}`
  const simulated = (uuid: string): SimulatedBackupStorage => {
    const address = addressOf(uuid)
    return (
      world.backupStorages.get(address) ?? createSimulatedBackupStorage({ world, address, port: IMAGE_PORT })
    )
  }
  const client = async (uuid: string) => createLocalAgent(backupStorageCalls, simulated(uuid).handlers)
  return {
    client,
    connect: async ({ uuid, url }) =>
      (await client(uuid)).call(initBackupStorage, { root: url, storageUuid: uuid }),
    imageAddress: async (uuid) => {
      await get(ctx.db, backupStorage, uuid)
      return { address: addressOf(uuid), port: IMAGE_PORT }
    },
    forget: async (uuid) => void world.backupStorages.delete(addressOf(uuid)),
  }
}
