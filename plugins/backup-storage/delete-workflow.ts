import { pingBackupStorage } from '#agents/backup-storage/contract/index.ts'
import { findOne, remove, update } from '#db'
import { describeError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { defineStep, defineWorkflow, noUndo, type Workflow } from '#workflow'
import { backupStorageConnector, backupStorageHook } from './contract/extensions.ts'
import { backupStorage, backupStorageZoneRef } from './contract/resources.ts'
import { backupStorageStatus } from './contract/states.ts'

/** False when its agent was removed already. */
async function answers(ctx: PluginContext, uuid: string, type: string): Promise<boolean> {
  try {
    const client = await ctx.driver(backupStorageConnector, type).client(uuid)
    await client.call(pingBackupStorage, {})
    return true
  } catch (error) {
    const fields = { backupStorageUuid: uuid, err: describeError(error) }
    ctx.log.info(fields, 'a backup storage does not answer after its deletion failed')
    return false
  }
}

export interface DeleteInput {
  readonly uuid: string
  readonly type: string
  /** What it goes back to when the deletion is refused. */
  readonly status: string
  /** Goes on when images are left. */
  readonly isEnforcing: boolean
}

/** Deletes a backup storage. Once the check has passed, every step may be repeated until all is gone. */
export function createDeleteWorkflow(ctx: PluginContext): Workflow<DeleteInput, Record<string, never>> {
  const { db } = ctx
  const setStatus = (uuid: string, status: string) =>
    db.write((tx) => update(tx, backupStorage, { uuid }, { status }))

  const close = defineStep<DeleteInput, null>({
    name: 'close-backup-storage',
    run: async ({ uuid, isEnforcing }) => {
      // From here on no image can come to it, so that what the hooks see is all there will be.
      await setStatus(uuid, backupStorageStatus.disconnected)
      if (!isEnforcing) for (const hook of ctx.hooks(backupStorageHook)) await hook.beforeDelete(uuid)
      return null
    },
    undo: async ({ uuid, type, status }) => {
      if ((await findOne(db, backupStorage, { uuid })) === undefined) return
      const isThere = status !== backupStorageStatus.connected || (await answers(ctx, uuid, type))
      await setStatus(uuid, isThere ? status : backupStorageStatus.disconnected)
    },
  })

  // One step: while the rows are there a restart may bring the agent back, and it must go again.
  const removeAll = defineStep<DeleteInput, null>({
    name: 'remove-agent-and-rows',
    run: async ({ uuid, type }) => {
      // A type whose plugin was taken out of the server leaves its agent where it is.
      await ctx.drivers(backupStorageConnector).get(type)?.forget(uuid)
      for (const hook of ctx.hooks(backupStorageHook)) await hook.onDelete(uuid)
      await ctx.bus.call(removeTags, { resourceUuid: uuid })
      await db.write(async (tx) => {
        await remove(tx, backupStorageZoneRef, { backupStorageUuid: uuid })
        for (const own of ctx.query.registry.childrenOf(backupStorage))
          await remove(tx, own, { uuid } as never)
        await remove(tx, backupStorage, { uuid })
      })
      return null
    },
    undo: noUndo('a repeated deletion or a reconnect brings it back to order'),
  })

  return defineWorkflow(
    'backupStorage.delete',
    [close, removeAll],
    async (flow, input: DeleteInput) => {
      await flow.step(close, input)
      await flow.step(removeAll, input)
      return {}
    },
    { afterCrash: 'resume' },
  )
}
