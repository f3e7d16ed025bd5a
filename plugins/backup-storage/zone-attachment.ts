import { type Database, find, findOne, get, insert, oneOf, remove } from '#db'
import { CloudError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { zone } from '#plugins/zone/contract/resources.ts'
import { backupStorageErrors } from './contract/errors.ts'
import { backupStorage, backupStorageZoneRef } from './contract/resources.ts'
import { attachBackupStorageToZone, detachBackupStorageFromZone } from './contract/zone-apis.ts'

interface Pair {
  readonly backupStorageUuid: string
  readonly zoneUuid: string
}

export function handleZoneAttachment(ctx: PluginContext): void {
  const { db } = ctx
  const key = ({ backupStorageUuid }: Pair) => `backup-storage:${backupStorageUuid}`
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(backupStorage, uuid) })

  ctx.handle(
    attachBackupStorageToZone,
    async (input) => {
      await attach(db, input)
      return view(input.backupStorageUuid)
    },
    { key },
  )

  ctx.handle(
    detachBackupStorageFromZone,
    async ({ backupStorageUuid, zoneUuid }) => {
      const pair = { backupStorageUuid, zoneUuid }
      const removed = await db.write((tx) => remove(tx, backupStorageZoneRef, pair))
      if (removed === 0) {
        const details = `${await pairName(db, pair)} are not attached to each other; there is nothing to detach`
        throw new CloudError(backupStorageErrors.detach, details)
      }
      return view(backupStorageUuid)
    },
    { key },
  )
}

async function attach(db: Database, { backupStorageUuid, zoneUuid }: Pair): Promise<void> {
  const now = Date.now()
  const pair = { backupStorageUuid, zoneUuid }
  const added = await db.write(async (tx) => {
    if ((await findOne(tx, backupStorageZoneRef, pair)) !== undefined) return false
    await insert(tx, backupStorageZoneRef, { ...pair, createDate: now, lastOpDate: now })
    return true
  })
  if (added) return
  throw new CloudError(
    backupStorageErrors.attach,
    `${await pairName(db, pair)} are attached to each other already`,
  )
}

async function pairName(db: Database, { backupStorageUuid, zoneUuid }: Pair): Promise<string> {
  const { name } = await get(db, backupStorage, backupStorageUuid)
  const place = await get(db, zone, zoneUuid)
  return `the backup storage ${name}[uuid:${backupStorageUuid}] and the zone ${place.name}[uuid:${zoneUuid}]`
}

/** A zone goes only when its backup storages were detached: they outlive it, and nobody should learn that from a gap. */
export async function refuseAttachedZone(db: Database, zoneUuid: string): Promise<void> {
  const refs = await find(db, backupStorageZoneRef, { zoneUuid })
  if (refs.length === 0) return
  const uuids = refs.map((ref) => ref.backupStorageUuid)
  const storages = await find(db, backupStorage, { uuid: oneOf(uuids) })
  const names = storages.map(({ name, uuid }) => `${name}[uuid:${uuid}]`).join(', ')
  throw new CloudError(
    sysErrors.deleteResource,
    `the zone[uuid:${zoneUuid}] has backup storages attached: ${names}; detach them first`,
  )
}
