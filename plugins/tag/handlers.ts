import { find, get, remove, update } from '#db'
import { CloudError, newOrderedUuid, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { createSystemTag, createUserTag, deleteTag, updateSystemTag } from './contract/apis.ts'
import { addTags, checkTags, removeSystemTag, removeTags, systemTagsOf } from './contract/messages.ts'
import { systemTag, userTag } from './contract/resources.ts'
import {
  checkSystemTags,
  insertSystemTag,
  insertTags,
  insertUserTag,
  removeTagsOf,
  requireSamePattern,
} from './store.ts'

export function handleTags(ctx: PluginContext): void {
  const { db } = ctx

  ctx.handle(createUserTag, async ({ resourceType, resourceUuid, tag }) => {
    await requireResource(ctx, resourceType, resourceUuid)
    const uuid = newOrderedUuid()
    await db.write((tx) => insertUserTag(tx, { uuid, resourceType, resourceUuid, tag }))
    return { inventory: await ctx.query.view(userTag, uuid) }
  })

  ctx.handle(createSystemTag, async ({ resourceType, resourceUuid, tag }) => {
    await requireResource(ctx, resourceType, resourceUuid)
    checkSystemTags(ctx, resourceType, [tag])
    await db.write((tx) => insertSystemTag(tx, { uuid: newOrderedUuid(), resourceType, resourceUuid, tag }))
    const [row] = await find(db, systemTag, { resourceUuid, tag })
    return { inventory: row }
  })

  ctx.handle(updateSystemTag, async ({ uuid, tag }) => {
    const row = await get(db, systemTag, uuid)
    checkSystemTags(ctx, row.resourceType, [tag])
    requireSamePattern(ctx, row, tag)
    await db.write((tx) => update(tx, systemTag, { uuid }, { tag, lastOpDate: Date.now() }))
    return { inventory: await ctx.query.view(systemTag, uuid) }
  })

  ctx.handle(deleteTag, async ({ uuid }) => {
    await db.write(
      async (tx) => (await remove(tx, systemTag, { uuid })) + (await remove(tx, userTag, { uuid })),
    )
    return {}
  })
}

export function serveTags(ctx: PluginContext): void {
  ctx.serve(checkTags, async ({ resourceType, systemTags }) =>
    checkSystemTags(ctx, resourceType, systemTags ?? []),
  )
  ctx.serve(addTags, ({ systemTags, userTags, ...owner }) =>
    ctx.db.write((tx) => insertTags(tx, owner, { systemTags, userTags })),
  )
  ctx.serve(removeTags, ({ resourceUuid }) => ctx.db.write((tx) => removeTagsOf(tx, resourceUuid)))
  ctx.serve(removeSystemTag, async (which) => {
    await ctx.db.write((tx) => remove(tx, systemTag, which))
  })
  ctx.serve(systemTagsOf, async ({ resourceUuid }) =>
    (await find(ctx.db, systemTag, { resourceUuid })).map((t) => t.tag),
  )
}

async function requireResource(ctx: PluginContext, resourceType: string, uuid: string): Promise<void> {
  const resource = ctx.query.registry.byVoName(resourceType)
  if (resource === undefined) {
    throw new CloudError(
      sysErrors.invalidArgument,
      `'${resourceType}' is no kind of resource; for example: VmInstanceVO, ZoneVO`,
    )
  }
  if ((await ctx.query.missing(resource, [uuid])).length > 0) {
    throw new CloudError(sysErrors.resourceNotFound, `there is no ${resource.name} with the uuid ${uuid}`)
  }
}
