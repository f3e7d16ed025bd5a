import { deletePath, statVolume } from '#agents/kvm-host/contract/storage.ts'
import { find } from '#db'
import { describeError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import { image } from '#plugins/image/contract/resources.ts'
import { volume } from '#plugins/volume/contract/resources.ts'
import { booksOf, releaseCache } from './capacity.ts'
import { type LocalImageCache, localImageCache, localStorageResourceRef } from './contract/resources.ts'
import { leaveCache } from './left-cache.ts'

/** Removes cached images whose image is gone and on which no volume of the host is built. One that fails is tried next time. */
export async function collectImageCaches(ctx: PluginContext, imageUuid?: string): Promise<void> {
  const caches = await find(ctx.db, localImageCache, imageUuid === undefined ? {} : { imageUuid })
  for (const cache of caches) {
    if (!(await isNeeded(ctx, cache))) await removeCache(ctx, cache)
  }
}

/**
 * Removes what a storage has cached on a host it leaves: left behind, these files would keep the directory from becoming another
 * storage. Images that volumes of the host are built on stay; what a host keeps that is away is removed when it is back.
 */
export async function dropImageCaches(
  ctx: PluginContext,
  where: { readonly primaryStorageUuid: string; readonly hostUuid: string },
): Promise<void> {
  for (const cache of await find(ctx.db, localImageCache, where)) {
    if ((await hasVolumes(ctx, cache)) || (await removeCache(ctx, cache))) continue
    await leaveCache(ctx, cache)
  }
}

/** Gives back the space of cached images that are not there: a node may have died before it brought what it had reserved space for. */
export async function checkImageCaches(
  ctx: PluginContext,
  where: { readonly primaryStorageUuid?: string; readonly hostUuid: string },
): Promise<void> {
  for (const cache of await find(ctx.db, localImageCache, where)) {
    const agent = await agentOfHost(ctx, cache.hostUuid)
    if ((await agent.call(statVolume, { path: cache.installPath })).exists) continue
    await ctx.db.write((tx) => releaseCache(tx, booksOf(ctx), cache))
  }
}

/** What nodes that died had begun is looked for on every host this node looks after. */
export function checkAfterDeaths(ctx: PluginContext): void {
  ctx.cluster.onChange('looking for cached images that are not there', async (_view, gone) => {
    if (gone.length > 0) await checkOwnHosts(ctx)
  })
}

async function checkOwnHosts(ctx: PluginContext): Promise<void> {
  const hosts = new Set((await find(ctx.db, localImageCache, {})).map((cache) => cache.hostUuid))
  for (const hostUuid of hosts) {
    if (!ctx.cluster.owns(`host:${hostUuid}`)) continue
    // One that is away is looked at when it is connected.
    await checkImageCaches(ctx, { hostUuid }).catch((error) =>
      ctx.log.debug(
        { hostUuid, err: describeError(error) },
        'the cached images of a host were not looked at',
      ),
    )
  }
}

/** False when the host could not be asked. */
async function removeCache(ctx: PluginContext, cache: LocalImageCache): Promise<boolean> {
  try {
    await (await agentOfHost(ctx, cache.hostUuid)).call(deletePath, { path: cache.installPath })
    await ctx.db.write((tx) => releaseCache(tx, booksOf(ctx), cache))
    return true
  } catch (error) {
    ctx.log.warn({ ...cache, err: describeError(error) }, 'a cached image could not be removed')
    return false
  }
}

async function isNeeded(ctx: PluginContext, cache: LocalImageCache): Promise<boolean> {
  if ((await find(ctx.db, image, { uuid: cache.imageUuid })).length > 0) return true
  return hasVolumes(ctx, cache)
}

/** Whether volumes of the host are built on it. */
async function hasVolumes(ctx: PluginContext, cache: LocalImageCache): Promise<boolean> {
  for (const { uuid } of await find(ctx.db, volume, { rootImageUuid: cache.imageUuid })) {
    if (
      (await find(ctx.db, localStorageResourceRef, { resourceUuid: uuid, hostUuid: cache.hostUuid })).length >
      0
    )
      return true
  }
  return false
}
