import { deletePath } from '#agents/kvm-host/contract/storage.ts'
import { parse, text } from '#contract'
import { findOne } from '#db'
import type { PluginContext } from '#plugin-host'
import type { GarbageType } from '#plugins/garbage-collector/contract/extensions.ts'
import { submitGarbage } from '#plugins/garbage-collector/contract/messages.ts'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { type LocalImageCache, localImageCache } from './contract/resources.ts'

export const CACHE_LEFT = 'local-storage.cached-image'

const contextShape = { hostUuid: text('The host.'), installPath: text('The file.') }

/** Has a cached image removed later from a host that could not be asked. The storage has left the host already. */
export async function leaveCache(
  ctx: Pick<PluginContext, 'bus' | 'db'>,
  cache: LocalImageCache,
): Promise<void> {
  const { hostUuid, installPath } = cache
  const name = (await findOne(ctx.db, host, { uuid: hostUuid }))?.name ?? hostUuid
  await ctx.bus.call(submitGarbage, {
    name: `the cached image ${installPath} on host ${name}`,
    type: CACHE_LEFT,
    subject: `${installPath}@${hostUuid}`,
    context: { hostUuid, installPath },
    hostUuid,
  })
}

/** Removes the file, unless the storage has come back and counts it among its own. */
export function cacheLeft(ctx: PluginContext): GarbageType {
  return {
    collect: async (context) => {
      const { hostUuid, installPath } = parse(contextShape, context, 'the job')
      if ((await findOne(ctx.db, host, { uuid: hostUuid })) === undefined) return
      if ((await findOne(ctx.db, localImageCache, { hostUuid, installPath })) !== undefined) return
      await (await agentOfHost(ctx, hostUuid)).call(deletePath, { path: installPath })
    },
  }
}
