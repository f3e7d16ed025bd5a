import { type Database, find, oneOf } from '#db'
import { CloudError, newUuid, parseSize } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { reservedCapacity } from '#plugins/backup-storage/contract/configs.ts'
import { backupStorageErrors } from '#plugins/backup-storage/contract/errors.ts'
import { refreshBackupStorage } from '#plugins/backup-storage/contract/messages.ts'
import { type BackupStorage, backupStorage } from '#plugins/backup-storage/contract/resources.ts'
import { checkTags } from '#plugins/tag/contract/messages.ts'
import type { AddWorkflow } from './add-workflow.ts'
import { addImage } from './contract/apis.ts'
import { downloadMaxBytes, filePrefixes, prefixesOf } from './contract/configs.ts'
import type { Image } from './contract/resources.ts'
import { imageState, imageStatus } from './contract/states.ts'
import { checkUrl, installPath, kindOf } from './image-source.ts'

export function handleAddImage(ctx: PluginContext, workflow: AddWorkflow): void {
  ctx.handle(addImage, async (input, call) => {
    const kind = kindOf(input)
    const { url, publicUrl } = checkUrl(input.url, prefixesOf(ctx.config.get(filePrefixes)))
    const { systemTags, userTags } = input
    if (systemTags !== undefined) await ctx.bus.call(checkTags, { resourceType: 'ImageVO', systemTags })
    const imageUuid = input.resourceUuid ?? newUuid()
    const { accountUuid } = call
    const storages = await storagesOf(ctx.db, input.backupStorageUuids)
    const downloads = storages.map((storage) => ({
      backupStorageUuid: storage.uuid,
      backupStorageName: storage.name,
      imagePath: installPath(storage.url, { accountUuid, imageUuid }, kind),
      url,
      format: kind.format,
      maxBytes: Math.min(ctx.config.get(downloadMaxBytes), roomOf(ctx, storage)),
    }))
    const image = { ...rowOf(input), ...kind, uuid: imageUuid, url: publicUrl, accountUuid }
    const plan = { image, downloads, systemTags, userTags }
    const reply = await call.run(workflow, plan)
    await Promise.all(
      storages.map(({ uuid }) => ctx.bus.call(refreshBackupStorage, { backupStorageUuid: uuid })),
    )
    return reply
  })
}

/** In the order they were named. */
async function storagesOf(db: Database, uuids: readonly string[]): Promise<BackupStorage[]> {
  const storages = await find(db, backupStorage, { uuid: oneOf(uuids) })
  return storages.sort((a, b) => uuids.indexOf(a.uuid) - uuids.indexOf(b.uuid))
}

/** Bytes an image may take on a Connected storage; whether it can be used at all is checked when the image is recorded. */
function roomOf(ctx: PluginContext, storage: BackupStorage): number {
  const { name, uuid, availableCapacity, status } = storage
  const reserved = parseSize(ctx.config.get(reservedCapacity))
  if (availableCapacity > reserved || status !== 'Connected') return availableCapacity - reserved
  const details =
    `the backup storage ${name}[uuid:${uuid}] has ${availableCapacity} bytes available, and images leave ` +
    `${reserved} free (global configuration backupStorage ${reservedCapacity.name}); expunge images or add space`
  throw new CloudError(backupStorageErrors.allocate, details)
}

type Words = Pick<Image, 'name' | 'description' | 'guestOsType' | 'platform' | 'architecture'>

function rowOf(input: Words & { system?: boolean | undefined; virtio: boolean }) {
  const { name, description, guestOsType, platform, architecture, system, virtio } = input
  const now = Date.now()
  return {
    ...{ name, description, guestOsType, virtio },
    platform: platform ?? 'Linux',
    architecture: architecture ?? 'x86_64',
    system: system ?? false,
    type: 'zstack',
    state: imageState.enabled,
    status: imageStatus.downloading,
    ...{ size: 0, actualSize: 0, createDate: now, lastOpDate: now },
  }
}
