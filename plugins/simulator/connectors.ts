import { type AgentClient, createLocalAgent, limitCalls } from '#agent-rpc'
import { backupStorageCalls, initBackupStorage } from '#agents/backup-storage/contract/index.ts'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import { findOne, get } from '#db'
import type { PluginContext } from '#plugin-host'
import type { BackupStorageConnector } from '#plugins/backup-storage/contract/extensions.ts'
import { backupStorage } from '#plugins/backup-storage/contract/resources.ts'
import { limitStorageCalls } from '#plugins/backup-storage/contract/storage-lane.ts'
import type { HostConnector } from '#plugins/host/contract/extensions.ts'
import { type Host, host } from '#plugins/host/contract/resources.ts'
import { commandLaneOf } from '#plugins/kvm/contract/command-lane.ts'
import { HOST_PORT, IMAGE_PORT, type SimulatedAgents } from './agents.ts'

/** Hosts of the simulated world by their address; one that is not there yet comes into being with what its row says. */
export function createHostConnector(ctx: PluginContext, agents: SimulatedAgents): HostConnector {
  const clients = new Map<string, AgentClient>()
  const simulated = ({ managementIp, cpuNum, totalMemoryCapacity }: Host) =>
    agents.host(managementIp, { cpuNum, totalMemoryBytes: totalMemoryCapacity })
  const hostOf = async (uuid: string) => simulated(await get(ctx.db, host, uuid))
  const client = async (uuid: string) => {
    const kept = clients.get(uuid)
    if (kept !== undefined) return kept
    const row = await get(ctx.db, host, uuid)
    const agent = createLocalAgent(kvmHostCalls, simulated(row).handlers, ctx.node.sender, row.managementIp)
    // As a real one, or a test would not see what waits.
    const made = limitCalls(agent, commandLaneOf(ctx, uuid), [kvmHostCalls.hostPing.name])
    clients.set(uuid, made)
    return made
  }
  return {
    client,
    reservedMemoryBytes: () => 0,
    acceleration: async () => 'kvm',
    peerAddress: async (uuid) => ({
      address: (await get(ctx.db, host, uuid)).managementIp,
      port: HOST_PORT,
    }),
    connect: async (row) => {
      const facts = await (await client(row.uuid)).call(kvmHostCalls.hostFacts, {})
      const { cpuNum, cpuSockets, totalMemoryBytes, architecture } = facts
      return { cpuNum, cpuSockets, totalMemoryBytes, architecture }
    },
    follow: async (uuid, onEvent, onDown) => {
      const subscription = (await hostOf(uuid)).subscribe(onEvent, onDown)
      return () => void subscription.dispose()
    },
    forget: async (uuid) => {
      clients.delete(uuid)
      const row = await findOne(ctx.db, host, { uuid })
      if (row !== undefined) agents.forgetHost(row.managementIp)
    },
  }
}

/** Backup storages of the simulated world; each has an address of its own made of its uuid. */
export function createBackupStorageConnector(
  ctx: PluginContext,
  agents: SimulatedAgents,
): BackupStorageConnector {
  const addressOf = (uuid: string) => `bs-${uuid}`
  const client = async (uuid: string) => {
    const address = addressOf(uuid)
    const { handlers } = agents.backupStorage(address)
    return limitStorageCalls(
      ctx,
      uuid,
      createLocalAgent(backupStorageCalls, handlers, ctx.node.sender, address),
    )
  }
  return {
    client,
    connect: async ({ uuid, url }) =>
      (await client(uuid)).call(initBackupStorage, { root: url, storageUuid: uuid }),
    imageAddress: async (uuid) => {
      await get(ctx.db, backupStorage, uuid)
      return { address: addressOf(uuid), port: IMAGE_PORT }
    },
    forget: async (uuid) => agents.forgetBackupStorage(addressOf(uuid)),
  }
}
