import { insert, remove, update } from '#db'
import { newUuid } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { createWithTags } from '#plugins/tag/contract/with-tags.ts'
import { enableState, enableStateAfter } from '#plugins/zone/contract/states.ts'
import * as diskApis from './contract/disk-offering-apis.ts'
import * as instanceApis from './contract/instance-offering-apis.ts'
import { diskOffering, instanceOffering } from './contract/resources.ts'

export function handleInstanceOfferings(ctx: PluginContext): void {
  const { db } = ctx
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(instanceOffering, uuid) })

  ctx.handle(instanceApis.createInstanceOffering, async (input) => {
    const { name, description, cpuNum, memorySize, reservedMemorySize, allocatorStrategy } = input
    const row = {
      ...newRow(input),
      name,
      description,
      cpuNum,
      memorySize,
      reservedMemorySize,
      allocatorStrategy,
      type: input.type ?? 'UserVm',
    }
    const tagged = { type: 'InstanceOfferingVO', uuid: row.uuid }
    await createWithTags(ctx, tagged, input, () => db.write((tx) => insert(tx, instanceOffering, row)))
    return view(row.uuid)
  })
  ctx.handle(instanceApis.updateInstanceOffering, async ({ uuid, name, description, allocatorStrategy }) => {
    const strategy = allocatorStrategy === undefined ? {} : { allocatorStrategy }
    const patch = { ...changed(name, description), ...strategy }
    await db.write((tx) => update(tx, instanceOffering, { uuid }, patch))
    return view(uuid)
  })
  ctx.handle(instanceApis.changeInstanceOfferingState, async ({ uuid, stateEvent }) => {
    await db.write((tx) =>
      update(tx, instanceOffering, { uuid }, { state: enableStateAfter[stateEvent], lastOpDate: Date.now() }),
    )
    return view(uuid)
  })
  ctx.handle(instanceApis.deleteInstanceOffering, async ({ uuid }) => {
    await db.write((tx) => remove(tx, instanceOffering, { uuid }))
    await ctx.bus.call(removeTags, { resourceUuid: uuid })
    return {}
  })
  ctx.queries(instanceApis.queryInstanceOffering)
}

export function handleDiskOfferings(ctx: PluginContext): void {
  const { db } = ctx
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(diskOffering, uuid) })

  ctx.handle(diskApis.createDiskOffering, async (input) => {
    const { name, description, diskSize, allocationStrategy } = input
    const row = {
      ...newRow(input),
      name,
      description,
      diskSize,
      allocatorStrategy: allocationStrategy,
      type: input.type ?? 'zstack',
    }
    const tagged = { type: 'DiskOfferingVO', uuid: row.uuid }
    await createWithTags(ctx, tagged, input, () => db.write((tx) => insert(tx, diskOffering, row)))
    return view(row.uuid)
  })
  ctx.handle(diskApis.updateDiskOffering, async ({ uuid, name, description }) => {
    await db.write((tx) => update(tx, diskOffering, { uuid }, changed(name, description)))
    return view(uuid)
  })
  ctx.handle(diskApis.changeDiskOfferingState, async ({ uuid, stateEvent }) => {
    await db.write((tx) =>
      update(tx, diskOffering, { uuid }, { state: enableStateAfter[stateEvent], lastOpDate: Date.now() }),
    )
    return view(uuid)
  })
  ctx.handle(diskApis.deleteDiskOffering, async ({ uuid }) => {
    await db.write((tx) => remove(tx, diskOffering, { uuid }))
    await ctx.bus.call(removeTags, { resourceUuid: uuid })
    return {}
  })
  ctx.queries(diskApis.queryDiskOffering)
}

function newRow(input: { resourceUuid?: string | undefined; sortKey?: number | undefined }) {
  const now = Date.now()
  const uuid = input.resourceUuid ?? newUuid()
  return { uuid, sortKey: input.sortKey ?? 0, state: enableState.enabled, createDate: now, lastOpDate: now }
}

function changed(name: string | undefined, description: string | undefined) {
  return {
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    lastOpDate: Date.now(),
  }
}
