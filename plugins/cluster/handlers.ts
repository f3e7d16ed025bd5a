import { count, insert, remove, update } from '#db'
import { CloudError, newUuid, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { createWithTags } from '#plugins/tag/contract/with-tags.ts'
import { zoneHook } from '#plugins/zone/contract/extensions.ts'
import { enableState, enableStateAfter } from '#plugins/zone/contract/states.ts'
import { changeClusterState, createCluster, deleteCluster, updateCluster } from './contract/apis.ts'
import { clusterHook } from './contract/extensions.ts'
import { cluster } from './contract/resources.ts'

export function handleClusters(ctx: PluginContext): void {
  const { db } = ctx
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(cluster, uuid) })
  const key = (input: { uuid: string }) => `cluster:${input.uuid}`

  ctx.handle(createCluster, async (input) => {
    const uuid = input.resourceUuid ?? newUuid()
    const now = Date.now()
    const { name, description, zoneUuid, hypervisorType, architecture } = input
    const fixed = {
      type: input.type ?? 'zstack',
      state: enableState.enabled,
      createDate: now,
      lastOpDate: now,
    }
    const row = { uuid, name, description, zoneUuid, hypervisorType, architecture, ...fixed }
    await createWithTags(ctx, { type: 'ClusterVO', uuid }, input, () =>
      db.write((tx) => insert(tx, cluster, row)),
    )
    return view(uuid)
  })

  ctx.handle(
    updateCluster,
    async ({ uuid, name, description }) => {
      const patch = {
        ...(name === undefined ? {} : { name }),
        ...(description === undefined ? {} : { description }),
      }
      await db.write((tx) => update(tx, cluster, { uuid }, { ...patch, lastOpDate: Date.now() }))
      return view(uuid)
    },
    { key },
  )

  ctx.handle(
    changeClusterState,
    async ({ uuid, stateEvent }) => {
      await db.write((tx) =>
        update(tx, cluster, { uuid }, { state: enableStateAfter[stateEvent], lastOpDate: Date.now() }),
      )
      return view(uuid)
    },
    { key },
  )

  ctx.handle(
    deleteCluster,
    async ({ uuid }) => {
      for (const hook of ctx.hooks(clusterHook)) await hook.beforeDelete(uuid)
      await db.write((tx) => remove(tx, cluster, { uuid }))
      await ctx.bus.call(removeTags, { resourceUuid: uuid })
      return {}
    },
    { key },
  )

  ctx.hook(zoneHook, {
    beforeDelete: async (zoneUuid) => {
      const left = await count(db, cluster, { zoneUuid })
      if (left === 0) return
      throw new CloudError(
        sysErrors.deleteResource,
        `the zone ${zoneUuid} still has ${left} cluster(s); delete them first`,
      )
    },
  })
}
