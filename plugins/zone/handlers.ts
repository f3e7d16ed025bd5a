import { count, type Database, insert, remove, type Tx, update } from '#db'
import { newUuid } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { createWithTags } from '#plugins/tag/contract/with-tags.ts'
import { changeZoneState, createZone, deleteZone, updateZone } from './contract/apis.ts'
import { zoneHook } from './contract/extensions.ts'
import { zone } from './contract/resources.ts'
import { enableState, enableStateAfter } from './contract/states.ts'

export function handleZones(ctx: PluginContext): void {
  const { db } = ctx
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(zone, uuid) })
  const key = (input: { uuid: string }) => `zone:${input.uuid}`

  ctx.handle(createZone, async (input) => {
    const uuid = input.resourceUuid ?? newUuid()
    await createWithTags(ctx, { type: 'ZoneVO', uuid }, input, () => addZone(db, uuid, input))
    return view(uuid)
  })

  ctx.handle(
    updateZone,
    async ({ uuid, name, description, isDefault }) => {
      const patch = {
        ...(name === undefined ? {} : { name }),
        ...(description === undefined ? {} : { description }),
        ...(isDefault === undefined ? {} : { isDefault }),
      }
      await db.write(async (tx) => {
        if (isDefault === true) await endDefault(tx)
        await update(tx, zone, { uuid }, { ...patch, lastOpDate: Date.now() })
      })
      return view(uuid)
    },
    { key },
  )

  ctx.handle(
    changeZoneState,
    async ({ uuid, stateEvent }) => {
      const state = enableStateAfter[stateEvent]
      await db.write((tx) => update(tx, zone, { uuid }, { state, lastOpDate: Date.now() }))
      return view(uuid)
    },
    { key },
  )

  ctx.handle(
    deleteZone,
    async ({ uuid }) => {
      for (const hook of ctx.hooks(zoneHook)) await hook.beforeDelete(uuid)
      await db.write((tx) => remove(tx, zone, { uuid }))
      await ctx.bus.call(removeTags, { resourceUuid: uuid })
      return {}
    },
    { key },
  )
}

/** There is at most one default zone. */
async function endDefault(tx: Tx): Promise<void> {
  await update(tx, zone, { isDefault: true }, { isDefault: false })
}

async function addZone(
  db: Database,
  uuid: string,
  input: { name: string; description?: string | undefined; isDefault?: boolean | undefined },
): Promise<void> {
  const now = Date.now()
  const { name, description } = input
  await db.write(async (tx) => {
    // The first zone is the default one, so that a cloud of one zone needs no choice.
    const isDefault = input.isDefault ?? (await count(tx, zone, {})) === 0
    if (isDefault) await endDefault(tx)
    await insert(tx, zone, {
      uuid,
      name,
      description,
      isDefault,
      type: 'zstack',
      state: enableState.enabled,
      createDate: now,
      lastOpDate: now,
    })
  })
}
