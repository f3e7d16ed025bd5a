import { find, findOne, update } from '#db'
import { describeError, Limiter } from '#kernel'
import type { PluginContext } from '#plugin-host'
import type { Connections } from './connections.ts'
import { autoReconnect, pingParallelism } from './contract/configs.ts'
import { type BackupStorage, backupStorage } from './contract/resources.ts'
import { backupStorageStatus } from './contract/states.ts'

/**
 * Makes the work of one round: every Connected storage is pinged; one that does not answer, and every other one (a reconnect that a
 * crash cut off leaves Connecting behind), is connected again in its queue, or becomes Disconnected.
 */
export function createPing(ctx: PluginContext, connections: Connections): () => Promise<void> {
  const limiter = new Limiter(() => ctx.config.get(pingParallelism))
  const look = async (storage: BackupStorage): Promise<void> => {
    const { uuid } = storage
    if (storage.status === backupStorageStatus.connected && (await answers(ctx, connections, storage))) return
    const work = () => settle(ctx, connections, uuid)
    await ctx.bus.enter(`backup-storage:${uuid}`, 'ping of a backup storage', work)
  }
  return async () => {
    const all = await find(ctx.db, backupStorage, {})
    const storages = all.filter(({ uuid }) => ctx.cluster.owns(`backup-storage:${uuid}`))
    await Promise.all(storages.map((storage) => limiter.run(() => look(storage))))
  }
}

async function answers(
  ctx: PluginContext,
  connections: Connections,
  storage: BackupStorage,
): Promise<boolean> {
  try {
    await connections.ping(storage)
    return true
  } catch (error) {
    const fields = { backupStorageUuid: storage.uuid, name: storage.name, err: describeError(error) }
    ctx.log.warn(fields, 'a backup storage does not answer')
    return false
  }
}

/** Runs in the storage's queue: whatever waited there before may have put things right, or deleted it. */
async function settle(ctx: PluginContext, connections: Connections, uuid: string): Promise<void> {
  const storage = await findOne(ctx.db, backupStorage, { uuid })
  if (storage === undefined) return
  if (storage.status === backupStorageStatus.connected && (await answers(ctx, connections, storage))) return
  if (!ctx.config.get(autoReconnect)) {
    const patch = { status: backupStorageStatus.disconnected }
    await ctx.db.write((tx) => update(tx, backupStorage, { uuid }, patch))
    return
  }
  try {
    await connections.connect(uuid)
    ctx.log.info({ backupStorageUuid: uuid, name: storage.name }, 'a backup storage is connected again')
  } catch (error) {
    const fields = { backupStorageUuid: uuid, name: storage.name, err: describeError(error) }
    ctx.log.warn(fields, 'a backup storage is disconnected')
  }
}
