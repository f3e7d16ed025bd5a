import { find, findOne } from '#db'
import { CloudError, newUuid, sysErrors } from '#kernel'
import { definePlugin, type PluginContext } from '#plugin-host'
import { garbageType } from '#plugins/garbage-collector/contract/extensions.ts'
import { hostHook } from '#plugins/host/contract/extensions.ts'
import type { Host } from '#plugins/host/contract/resources.ts'
import { imageHook } from '#plugins/image/contract/extensions.ts'
import { imageCacheInterval } from '#plugins/primary-storage/contract/configs.ts'
import { primaryStorageDriver } from '#plugins/primary-storage/contract/extensions.ts'
import { addPrimaryStorage } from '#plugins/primary-storage/contract/messages.ts'
import { primaryStorage } from '#plugins/primary-storage/contract/resources.ts'
import { createWithTags } from '#plugins/tag/contract/with-tags.ts'
import { volume } from '#plugins/volume/contract/resources.ts'
import { addLocalPrimaryStorage, queryLocalStorageResourceRef } from './contract/apis.ts'
import { localImageCache, localStorageHostRef, localStorageResourceRef } from './contract/resources.ts'
import { localStorageDriver } from './driver.ts'
import { checkAfterDeaths, collectImageCaches } from './image-cache.ts'
import { CACHE_LEFT, cacheLeft } from './left-cache.ts'
import { localStorageMigrations } from './migrations.ts'

const type = 'LocalStorage'

export const localStoragePlugin = definePlugin({
  name: 'local-storage',
  needs: ['primary-storage', 'image', 'garbage-collector'],
  resources: [localStorageResourceRef, localStorageHostRef, localImageCache],
  migrations: localStorageMigrations,
  setup(ctx) {
    ctx.provide(primaryStorageDriver, type, localStorageDriver(ctx))
    ctx.provide(garbageType, CACHE_LEFT, cacheLeft(ctx))
    handleAdd(ctx)
    ctx.queries(queryLocalStorageResourceRef)
    ctx.hook(imageHook, { expunged: (imageUuid) => collectImageCaches(ctx, imageUuid) })
    ctx.hook(hostHook, { beforeDelete: (host) => requireEmpty(ctx, host) })
    ctx.onReady(() => checkAfterDeaths(ctx))
    ctx.every(
      'collect image caches',
      () => ctx.config.get(imageCacheInterval),
      () => collectImageCaches(ctx),
    )
  },
})

/** Volumes would be lost with the host they lie on. */
async function requireEmpty(ctx: PluginContext, host: Host): Promise<void> {
  const refs = await find(ctx.db, localStorageResourceRef, { hostUuid: host.uuid })
  const [first] = refs
  if (first === undefined) return
  const name = (await findOne(ctx.db, volume, { uuid: first.resourceUuid }))?.name ?? 'a volume'
  const others = refs.length === 1 ? '' : ` and ${refs.length - 1} more`
  const details = `the local storage of the host ${host.name} still holds ${name}[uuid:${first.resourceUuid}]${others}; delete or move them first`
  throw new CloudError(sysErrors.deleteResource, details)
}

function handleAdd(ctx: PluginContext): void {
  ctx.handle(addLocalPrimaryStorage, async (input) => {
    const uuid = input.resourceUuid ?? newUuid()
    const now = Date.now()
    const { name, description, url, zoneUuid } = input
    const none = {
      totalCapacity: 0,
      availableCapacity: 0,
      totalPhysicalCapacity: 0,
      availablePhysicalCapacity: 0,
    }
    const row = {
      uuid,
      name,
      description,
      zoneUuid,
      url,
      mountPath: url,
      type,
      state: 'Enabled',
      status: 'Connected',
      ...none,
    }
    const tagged = { type: 'PrimaryStorageVO', uuid }
    await createWithTags(ctx, tagged, input, () =>
      ctx.bus.call(addPrimaryStorage, { ...row, createDate: now, lastOpDate: now }),
    )
    return { inventory: await ctx.query.view(primaryStorage, uuid) }
  })
}
