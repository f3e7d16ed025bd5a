import type { AgentTransport, ServerAccess } from '#agent-deploy'
import type { AgentClient } from '#agent-rpc'
import { initBackupStorage } from '#agents/backup-storage/contract/index.ts'
import { findOne, get, update } from '#db'
import { currentTask, type Disposable, describeError, type SecretBox } from '#kernel'
import type { PluginContext } from '#plugin-host'
import type { BackupStorageConnector } from '#plugins/backup-storage/contract/extensions.ts'
import { limitStorageCalls } from '#plugins/backup-storage/contract/storage-lane.ts'
import { submitGarbage } from '#plugins/garbage-collector/contract/messages.ts'
import { forgetEpoch } from './contract/configs.ts'
import { type SftpBackupStorage, sftpBackupStorage } from './contract/resources.ts'
import { leftAgent } from './left-agent.ts'

const DEFAULT_AGENT_PORT = 7171

/** Reaches image servers through the agent it deploys over SSH. Clients are kept until the server is connected anew. */
export type SftpConnector = BackupStorageConnector & Disposable

export function createConnector(
  ctx: Pick<PluginContext, 'bus' | 'config' | 'db' | 'lanes' | 'log'>,
  secrets: SecretBox,
  transport: AgentTransport,
): SftpConnector {
  const { db, log } = ctx
  const clients = new Map<string, Promise<AgentClient>>()

  const drop = async (uuid: string): Promise<void> => {
    const client = clients.get(uuid)
    clients.delete(uuid)
    // One that could not be made has nothing to close.
    const made = await client?.catch(() => undefined)
    made?.close()
  }

  const open = async (uuid: string): Promise<AgentClient> => {
    const { hostname, agentPort } = await get(db, sftpBackupStorage, uuid)
    const agent = { uuid, address: hostname, port: agentPort ?? DEFAULT_AGENT_PORT }
    return limitStorageCalls(ctx, uuid, await transport.connect(agent))
  }

  const client = (uuid: string): Promise<AgentClient> => {
    const kept = clients.get(uuid)
    if (kept !== undefined) return kept
    const opening = open(uuid)
    clients.set(uuid, opening)
    // Told to whoever asked; the next one tries again.
    opening.catch(() => clients.delete(uuid))
    return opening
  }

  return {
    client,
    agentVersion: () => transport.version(),
    connect: async ({ uuid, url }, onProgress) => {
      const row = await get(db, sftpBackupStorage, uuid)
      const port = row.agentPort ?? DEFAULT_AGENT_PORT
      const server = { ...accessTo(row, secrets), port }
      const deployed = await transport.deploy(server, {
        onProgress,
        signal: currentTask()?.signal,
        forgetEpoch: ctx.config.get(forgetEpoch),
      })
      await db.write((tx) => update(tx, sftpBackupStorage, { uuid }, { ...deployed, agentPort: port }))
      await drop(uuid)
      onProgress('preparing the directory')
      return (await client(uuid)).call(initBackupStorage, { root: url, storageUuid: uuid })
    },
    imageAddress: async (uuid) => {
      const { hostname, agentPort } = await get(db, sftpBackupStorage, uuid)
      return { address: hostname, port: agentPort ?? DEFAULT_AGENT_PORT }
    },
    forget: async (uuid) => {
      await drop(uuid)
      const row = await findOne(db, sftpBackupStorage, { uuid })
      if (row === undefined) return
      try {
        await transport.remove(accessTo(row, secrets))
      } catch (error) {
        // It holds back nobody: removed when it is back; it may also be off for good.
        const fields = { backupStorageUuid: uuid, hostname: row.hostname, err: describeError(error) }
        log.warn(fields, 'the agent could not be removed from an image server')
        // What never ran there is not waited for: the address may have been a mistake.
        if (row.hostKey !== undefined) await ctx.bus.call(submitGarbage, leftAgent(row))
      }
    },
    dispose: async () => {
      await Promise.all([...clients.keys()].map(drop))
    },
  }
}

function accessTo(row: SftpBackupStorage, secrets: SecretBox): ServerAccess {
  const { uuid, hostname: address, sshPort, username, hostKey } = row
  return { uuid, address, sshPort, username, hostKey, password: secrets.open(row.sealedPassword) }
}
