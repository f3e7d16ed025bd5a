import { deleteImage, downloadImage } from '#agents/backup-storage/contract/index.ts'
import { findOne } from '#db'
import { CloudError, currentTask } from '#kernel'
import { laneOf, type PluginContext } from '#plugin-host'
import { backupStorageConnector } from '#plugins/backup-storage/contract/extensions.ts'
import { backupStorage } from '#plugins/backup-storage/contract/resources.ts'
import {
  allowPrivateNetworks,
  downloadParallelism,
  downloadTimeout,
  filePrefixes,
  prefixesOf,
} from './contract/configs.ts'
import type { ImageFormat } from './image-source.ts'

/** One image on one backup storage. */
export interface Copy {
  readonly backupStorageUuid: string
  readonly imagePath: string
}

export interface Download extends Copy {
  readonly backupStorageName: string
  readonly url: string
  readonly format: ImageFormat
  readonly maxBytes: number
}

/** What the backup storage found in the file. */
export interface ImageFacts {
  readonly format: ImageFormat
  readonly virtualSizeBytes: number
  readonly actualSizeBytes: number
  readonly sha256: string
}

/** The files of images, on whatever kind of backup storage. */
export interface Copies {
  download(
    download: Download,
    options: { taskId: string | undefined; signal: AbortSignal },
  ): Promise<ImageFacts>
  /** What is not there is fine, and so is a backup storage that was removed with all it held. */
  delete(copy: Copy): Promise<void>
}

export function createCopies(ctx: PluginContext): Copies {
  const clientOf = async (uuid: string) => {
    const storage = await findOne(ctx.db, backupStorage, { uuid })
    return storage && ctx.driver(backupStorageConnector, storage.type).client(uuid)
  }
  return {
    download: ({ backupStorageUuid, backupStorageName, url, format, ...limits }, { taskId, signal }) => {
      const run = async () => {
        const client = await clientOf(backupStorageUuid)
        if (client === undefined) throw new Error('the backup storage was removed in the meantime')
        const input = {
          ...limits,
          url,
          expectedFormat: format,
          allowPrivateAddresses: ctx.config.get(allowPrivateNetworks),
          filePrefixes: prefixesOf(ctx.config.get(filePrefixes)),
        }
        const task = currentTask()
        return client.call(downloadImage, input, {
          signal,
          ...(taskId === undefined ? {} : { taskId }),
          timeoutMs: ctx.config.get(downloadTimeout) * 1000,
          onProgress: (percent) => task?.progress(Math.min(99, percent), `download to ${backupStorageName}`),
        })
      }
      const lane = laneOf(ctx, `image-downloads:${backupStorageUuid}`, downloadParallelism)
      return lane.run({ label: downloadImage.name, signal, run })
    },
    delete: async ({ backupStorageUuid, imagePath }) => {
      const client = await clientOf(backupStorageUuid)
      if (client === undefined) return
      try {
        await client.call(deleteImage, { imagePath })
      } catch (error) {
        if (!(error instanceof CloudError)) throw error
        const details = `cannot delete ${imagePath} on the backup storage[uuid:${backupStorageUuid}]`
        throw new CloudError(error, details, { cause: error })
      }
    },
  }
}
