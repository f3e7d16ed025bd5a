import type { Resource } from '#contract'
import { find, findOne, insert, remove, update } from '#db'
import { CloudError, currentTask, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { defineStep, defineWorkflow, noUndo, type Workflow } from '#workflow'
import { backupStorageConnector } from './contract/extensions.ts'
import type { AddBackupStorageInput } from './contract/messages.ts'
import { type BackupStorage, backupStorage, backupStorageZoneRef } from './contract/resources.ts'
import { backupStorageStatus } from './contract/states.ts'

interface Space {
  readonly totalBytes: number
  readonly availableBytes: number
}

/** Adds a backup storage: its rows, the connection, the space it has. What fails leaves neither rows nor an agent. */
export function createAddWorkflow(ctx: PluginContext): Workflow<AddBackupStorageInput, BackupStorage> {
  const { db } = ctx
  const insertRows = defineStep<AddBackupStorageInput, null>({
    name: 'insert-backup-storage',
    run: async ({ storage, extension }) => {
      const own = extensionOf(ctx, extension)
      await db.write(async (tx) => {
        const present = await findOne(tx, backupStorage, { uuid: storage.uuid })
        if (present?.createDate === storage.createDate) return
        if (present !== undefined) throw uuidTaken(present)
        await insert(tx, backupStorage, { ...storage, status: backupStorageStatus.connecting })
        if (own !== undefined) await insert(tx, own, extension?.row as never)
      })
      return null
    },
    undo: async ({ storage: { uuid, createDate }, extension }) => {
      const own = extensionOf(ctx, extension)
      await db.write(async (tx) => {
        // Not when the step failed because the uuid was another storage's.
        if ((await remove(tx, backupStorage, { uuid, createDate })) === 0) return
        await remove(tx, backupStorageZoneRef, { backupStorageUuid: uuid })
        if (own !== undefined) await remove(tx, own, { uuid } as never)
      })
    },
  })

  const connect = defineStep<BackupStorage, Space>({
    name: 'connect-backup-storage',
    run: (storage) => {
      const progress = (message: string) => currentTask()?.progress(undefined, message)
      return ctx.driver(backupStorageConnector, storage.type).connect(storage, progress)
    },
    undo: async ({ uuid, type }) => {
      // Without its row a connector does not know where the agent is: then there never was one.
      if ((await find(db, backupStorage, { uuid })).length === 0) return
      await ctx.driver(backupStorageConnector, type).forget(uuid)
    },
  })

  const markConnected = defineStep<{ uuid: string; space: Space }, BackupStorage>({
    name: 'mark-connected',
    run: async ({ uuid, space }) => {
      const status = backupStorageStatus.connected
      const capacity = { totalCapacity: space.totalBytes, availableCapacity: space.availableBytes }
      await db.write((tx) => update(tx, backupStorage, { uuid }, { ...capacity, status }))
      const added = await findOne(db, backupStorage, { uuid })
      if (added !== undefined) return added
      const details = `the backup storage[uuid:${uuid}] was removed while it was being added; add it again`
      throw new CloudError(sysErrors.operationFailed, details)
    },
    undo: noUndo('the row goes with the step that made it'),
  })

  return defineWorkflow(
    'backupStorage.add',
    [insertRows, connect, markConnected],
    async (flow, input: AddBackupStorageInput) => {
      await flow.step(insertRows, input)
      const space = await flow.step(connect, input.storage)
      return flow.step(markConnected, { uuid: input.storage.uuid, space })
    },
  )
}

function extensionOf(
  ctx: PluginContext,
  extension: AddBackupStorageInput['extension'],
): Resource | undefined {
  if (extension === undefined) return undefined
  const found = ctx.query.registry.byInventory(extension.inventory)
  if (found?.parent?.resource === backupStorage) return found
  throw new Error(`${extension.inventory} is not the inventory of a type of backup storage`)
}

function uuidTaken({ uuid, name }: BackupStorage): CloudError {
  const details = `a backup storage[uuid:${uuid}, name:${name}] exists already; choose another uuid`
  return new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'resourceUuid' } })
}
