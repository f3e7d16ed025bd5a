import { count, remove } from '#db'
import type { PluginContext } from '#plugin-host'
import { refreshBackupStorage } from '#plugins/backup-storage/contract/messages.ts'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { defineStep, defineWorkflow, noUndo, type Workflow } from '#workflow'
import { imageHook } from './contract/extensions.ts'
import { image, imageBackupStorageRef } from './contract/resources.ts'
import { imageStatus } from './contract/states.ts'
import type { Copies, Copy } from './copies.ts'

export interface ExpungeInput {
  readonly imageUuid: string
  /** Deleted copies; the image goes when no other is left. */
  readonly copies: readonly Copy[]
}

/** Removes copies of a deleted image for good. Each step can be repeated; what one run could not do, the next one does. */
export function createExpungeWorkflow(
  ctx: PluginContext,
  copies: Copies,
): Workflow<ExpungeInput, Record<string, never>> {
  const { db } = ctx
  const removeCopy = defineStep<Copy & { imageUuid: string }, null>({
    name: 'remove-copy',
    run: async ({ imageUuid, ...copy }) => {
      const { backupStorageUuid } = copy
      await copies.delete(copy)
      const key = { imageUuid, backupStorageUuid, status: imageStatus.deleted }
      await db.write((tx) => remove(tx, imageBackupStorageRef, key))
      await ctx.bus.call(refreshBackupStorage, { backupStorageUuid })
      return null
    },
    undo: noUndo('what is gone cannot come back; the copies left stay deleted and are expunged later'),
  })

  const removeRecord = defineStep<{ imageUuid: string }, null>({
    name: 'remove-record',
    run: async ({ imageUuid }) => {
      if ((await count(db, imageBackupStorageRef, { imageUuid })) > 0) return null
      await ctx.bus.call(removeTags, { resourceUuid: imageUuid })
      await db.write((tx) => remove(tx, image, { uuid: imageUuid, status: imageStatus.deleted }))
      for (const hook of ctx.hooks(imageHook)) await hook.expunged(imageUuid)
      return null
    },
    undo: noUndo('nothing comes after it'),
  })

  return defineWorkflow(
    'image.expunge',
    [removeCopy, removeRecord],
    async (flow, input: ExpungeInput) => {
      const { imageUuid } = input
      for (const copy of input.copies) await flow.step(removeCopy, { imageUuid, ...copy })
      await flow.step(removeRecord, { imageUuid })
      return {}
    },
    { afterCrash: 'resume' },
  )
}
