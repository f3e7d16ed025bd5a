import { type Database, find, get, oneOf, update } from '#db'
import type { PluginContext } from '#plugin-host'
import type { Workflow } from '#workflow'
import type { Connections } from './connections.ts'
import {
  changeBackupStorageState,
  deleteBackupStorage,
  getBackupStorageCapacity,
  reconnectBackupStorage,
  updateBackupStorage,
} from './contract/apis.ts'
import { describeBackupStorage } from './contract/messages.ts'
import { backupStorage, backupStorageZoneRef } from './contract/resources.ts'
import { backupStorageStateAfter } from './contract/states.ts'
import type { DeleteInput } from './delete-workflow.ts'

export function handleBackupStorages(
  ctx: PluginContext,
  connections: Connections,
  deletion: Workflow<DeleteInput, Record<string, never>>,
): void {
  const { db } = ctx
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(backupStorage, uuid) })
  const key = (input: { uuid: string }) => `backup-storage:${input.uuid}`

  ctx.serve(describeBackupStorage, ({ backupStorageUuid, ...words }) =>
    describe(db, backupStorageUuid, words),
  )

  // Not in the queue: a new name need not wait for a reconnect under way.
  ctx.handle(updateBackupStorage, async ({ uuid, name, description }) => {
    await describe(db, uuid, { name, description })
    return view(uuid)
  })

  ctx.handle(changeBackupStorageState, async ({ uuid, stateEvent }) => {
    const state = backupStorageStateAfter[stateEvent]
    await db.write((tx) => update(tx, backupStorage, { uuid }, { state, lastOpDate: Date.now() }))
    return view(uuid)
  })

  ctx.handle(
    reconnectBackupStorage,
    async ({ uuid }) => {
      await connections.connect(uuid)
      return view(uuid)
    },
    { key },
  )

  ctx.handle(
    deleteBackupStorage,
    async ({ uuid, deleteMode }, call) => {
      const { type, status } = await get(db, backupStorage, uuid)
      const isEnforcing = deleteMode === 'Enforcing'
      return call.run(deletion, { uuid, type, status, isEnforcing })
    },
    { key },
  )

  ctx.handle(getBackupStorageCapacity, async ({ zoneUuids, backupStorageUuids, all }) => {
    const wanted = all === true ? {} : { zoneUuids, backupStorageUuids }
    const storages = await find(db, backupStorage, await conditionOf(db, wanted))
    return {
      totalCapacity: storages.reduce((sum, storage) => sum + storage.totalCapacity, 0),
      availableCapacity: storages.reduce((sum, storage) => sum + storage.availableCapacity, 0),
    }
  })
}

async function describe(
  db: Database,
  uuid: string,
  { name, description }: { name?: string | undefined; description?: string | undefined },
): Promise<void> {
  const patch = {
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
  }
  await db.write((tx) => update(tx, backupStorage, { uuid }, { ...patch, lastOpDate: Date.now() }))
}

/** Storages that are both among the named ones and in one of the zones; a list that was not given excludes nothing. */
async function conditionOf(
  db: Database,
  wanted: { zoneUuids?: string[] | undefined; backupStorageUuids?: string[] | undefined },
) {
  const { zoneUuids, backupStorageUuids } = wanted
  if (zoneUuids === undefined)
    return backupStorageUuids === undefined ? {} : { uuid: oneOf(backupStorageUuids) }
  const refs = await find(db, backupStorageZoneRef, { zoneUuid: oneOf(zoneUuids) })
  const inZones = refs.map((ref) => ref.backupStorageUuid)
  return { uuid: oneOf(inZones.filter((uuid) => backupStorageUuids?.includes(uuid) ?? true)) }
}
