import { type Database, find, get, oneOf } from '#db'
import { CloudError, sysErrors } from '#kernel'
import {
  type BackupStorage,
  backupStorage,
  backupStorageZoneRef,
} from '#plugins/backup-storage/contract/resources.ts'
import { reasonNotUsable } from '#plugins/backup-storage/contract/states.ts'
import type { ImageSource } from '#plugins/primary-storage/contract/extensions.ts'
import { type Image, image, imageBackupStorageRef } from './contract/resources.ts'
import { imageState, imageStatus } from './contract/states.ts'
import { nameOf } from './deletion.ts'
import { imageFormats } from './image-source.ts'

/** Where hosts of a zone can fetch an image. Throws SYS.1006 that names what stands in the way. */
export async function locate(
  db: Database,
  {
    imageUuid,
    zoneUuid,
    forExisting,
  }: { imageUuid: string; zoneUuid: string; forExisting?: boolean | undefined },
): Promise<ImageSource> {
  const row = await get(db, image, imageUuid)
  const statuses = forExisting === true ? [imageStatus.ready, imageStatus.deleted] : [imageStatus.ready]
  if (!statuses.some((status) => status === row.status)) throw unusable(row, `it is ${row.status}, not Ready`)
  if (row.state !== imageState.enabled && forExisting !== true)
    throw unusable(row, `it is ${row.state}; enable it`)
  const format = imageFormats.find((known) => known === row.format)
  if (format === undefined || row.sha256 === undefined)
    throw unusable(row, 'its format or checksum is not recorded; add it again')
  const refs = await find(db, imageBackupStorageRef, { imageUuid, status: oneOf(statuses) })
  const uuids = refs.map((ref) => ref.backupStorageUuid)
  const storages = await find(db, backupStorage, { uuid: oneOf(uuids) }, { orderBy: ['name', 'uuid'] })
  const attached = await find(db, backupStorageZoneRef, { backupStorageUuid: oneOf(uuids), zoneUuid })
  const isAttached = ({ uuid }: BackupStorage) => attached.some((ref) => ref.backupStorageUuid === uuid)
  const found = storages.find((storage) => isAttached(storage) && reasonNotUsable(storage) === undefined)
  const ref = refs.find(({ backupStorageUuid }) => backupStorageUuid === found?.uuid)
  if (ref === undefined) {
    const reasons = storages.map((storage) => {
      const reason = isAttached(storage) ? reasonNotUsable(storage) : 'it is not attached to the zone'
      return `${storage.name}[uuid:${storage.uuid}]: ${reason}`
    })
    const where = reasons.join('; ') || 'it is on none'
    throw unusable(row, `no backup storage can give it to the zone[uuid:${zoneUuid}] (${where})`)
  }
  return {
    imageUuid,
    format,
    sizeBytes: row.size,
    actualSizeBytes: row.actualSize,
    sha256: row.sha256,
    backupStorageUuid: ref.backupStorageUuid,
    backupStoragePath: ref.installPath,
  }
}

function unusable(row: Image, reason: string): CloudError {
  return new CloudError(sysErrors.operationFailed, `the image ${nameOf(row)} cannot be used: ${reason}`)
}
