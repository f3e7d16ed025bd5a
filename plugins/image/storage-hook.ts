import { count, find, not, oneOf, remove } from '#db'
import { CloudError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import type { BackupStorageHook } from '#plugins/backup-storage/contract/extensions.ts'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { image, imageBackupStorageRef } from './contract/resources.ts'
import { nameOf } from './deletion.ts'

const MAX_NAMES = 20

/** What becomes of images when their backup storage goes. */
export function createStorageHook({ db, bus }: PluginContext): BackupStorageHook {
  const imagesOn = async (backupStorageUuid: string) => {
    const refs = await find(db, imageBackupStorageRef, { backupStorageUuid })
    return find(db, image, { uuid: oneOf(refs.map((ref) => ref.imageUuid)) })
  }
  return {
    beforeDelete: async (backupStorageUuid) => {
      const images = await imagesOn(backupStorageUuid)
      if (images.length === 0) return
      const names = images.slice(0, MAX_NAMES).map((row) => `${nameOf(row)} (${row.status})`)
      const more = images.length > MAX_NAMES ? ` and ${images.length - MAX_NAMES} more` : ''
      const details =
        `the backup storage[uuid:${backupStorageUuid}] holds images: ${names.join(', ')}${more}; expunge them first, ` +
        'or delete it with deleteMode Enforcing, which forgets the images and leaves their files'
      throw new CloudError(sysErrors.deleteResource, details)
    },
    onDelete: async (backupStorageUuid) => {
      for (const { uuid: imageUuid } of await imagesOn(backupStorageUuid)) {
        const elsewhere = { imageUuid, backupStorageUuid: not(backupStorageUuid) }
        const isOnlyHere = (await count(db, imageBackupStorageRef, elsewhere)) === 0
        // Before the row: were it after, a crash between the two would leave the tags for good.
        if (isOnlyHere) await bus.call(removeTags, { resourceUuid: imageUuid })
        await db.write(async (tx) => {
          await remove(tx, imageBackupStorageRef, { imageUuid, backupStorageUuid })
          if ((await count(tx, imageBackupStorageRef, { imageUuid })) === 0)
            await remove(tx, image, { uuid: imageUuid })
        })
      }
    },
  }
}
