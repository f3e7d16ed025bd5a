import { pingBackupStorage } from '#agents/backup-storage/contract/index.ts'
import { findOne, get, update } from '#db'
import { CloudError, currentTask, describeError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { backupStorageConnector } from './contract/extensions.ts'
import { type BackupStorage, backupStorage } from './contract/resources.ts'
import { backupStorageStatus } from './contract/states.ts'

/** The state of the connections to backup storages, as the database tells it to everyone. */
export interface Connections {
  /** To be called in the storage's queue. Connected afterwards, or Disconnected and the reason is thrown. */
  connect(uuid: string): Promise<void>
  /** Asks a storage for its space and stores it. Throws the agent's reason, and changes no status. */
  ping(storage: BackupStorage): Promise<void>
  /** Like ping, but a storage that does not answer is only logged. */
  refresh(uuid: string): Promise<void>
  imageAddress(uuid: string): Promise<{ address: string; port: number }>
}

export function createConnections(ctx: PluginContext): Connections {
  const { db } = ctx
  const connectorOf = (storage: BackupStorage) => ctx.driver(backupStorageConnector, storage.type)
  const setStatus = (uuid: string, status: string) =>
    db.write((tx) => update(tx, backupStorage, { uuid }, { status }))

  const ping: Connections['ping'] = async (storage) => {
    const connector = connectorOf(storage)
    const client = await connector.client(storage.uuid)
    const { agentVersion, totalBytes, availableBytes } = await client.call(pingBackupStorage, {})
    const expected = (await connector.agentVersion?.()) ?? agentVersion
    if (expected !== agentVersion) {
      const details = `the agent runs the version ${agentVersion}, not ${expected}; a reconnect upgrades it`
      throw new CloudError(sysErrors.operationFailed, details)
    }
    const capacity = { totalCapacity: totalBytes, availableCapacity: availableBytes }
    await db.write((tx) => update(tx, backupStorage, { uuid: storage.uuid }, capacity))
  }

  return {
    ping,
    connect: async (uuid) => {
      const storage = await get(db, backupStorage, uuid)
      await setStatus(uuid, backupStorageStatus.connecting)
      try {
        const progress = (message: string) => currentTask()?.progress(undefined, message)
        const { totalBytes, availableBytes } = await connectorOf(storage).connect(storage, progress)
        const capacity = { totalCapacity: totalBytes, availableCapacity: availableBytes }
        const status = backupStorageStatus.connected
        await db.write((tx) => update(tx, backupStorage, { uuid }, { ...capacity, status }))
      } catch (error) {
        await setStatus(uuid, backupStorageStatus.disconnected)
        if (!(error instanceof CloudError)) throw error
        const details = `cannot connect the backup storage ${storage.name}[uuid:${uuid}]; it is Disconnected`
        throw new CloudError(error, details, { cause: error })
      }
    },
    refresh: async (uuid) => {
      const storage = await findOne(db, backupStorage, { uuid })
      if (storage?.status !== backupStorageStatus.connected) return
      try {
        await ping(storage)
      } catch (error) {
        // Its space is a little old until the next ping, which also decides whether it is lost.
        const fields = { backupStorageUuid: uuid, err: describeError(error) }
        ctx.log.warn(fields, 'the space of a backup storage could not be asked for')
      }
    },
    imageAddress: async (uuid) => connectorOf(await get(db, backupStorage, uuid)).imageAddress(uuid),
  }
}
