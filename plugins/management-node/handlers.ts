import { memberUuids } from '#cluster'
import { find, insert, remove, update } from '#db'
import { type PluginContext, progressOf } from '#plugin-host'
import { getCurrentTime, getVersion, isReadyToGo } from './contract/apis.ts'
import { type NodeFacts, nodeFacts } from './contract/extensions.ts'
import { managementNode } from './contract/resources.ts'
import { getTaskProgress } from './contract/task-apis.ts'

export function handleManagementNode(ctx: PluginContext): void {
  ctx.handle(getVersion, async () => ({ version: ctx.node.version }))
  // Reaching the handler is the answer: until then the dispatcher refuses with SYS.1010.
  ctx.handle(isReadyToGo, async () => ({ managementNodeId: ctx.node.uuid }))
  ctx.handle(getCurrentTime, async () => {
    const now = Date.now()
    return { currentTime: { MillionSeconds: now, Seconds: Math.floor(now / 1000) } }
  })
  ctx.handle(getTaskProgress, async ({ apiId, all }) => {
    const tasks = apiId === undefined ? ctx.jobs.running().map((job) => job.uuid) : [apiId]
    const inventories = (await Promise.all(tasks.map((uuid) => linesOf(ctx, uuid)))).flat()
    return { inventories: all === true || apiId === undefined ? inventories : inventories.slice(-1) }
  })
}

async function linesOf(ctx: PluginContext, taskUuid: string) {
  const task = await progressOf(ctx.bus, ctx.jobs, taskUuid)
  if (task === undefined) return []
  return task.entries.map(({ percent, message, time }) => ({
    taskUuid,
    taskName: task.apiName,
    type: percent === undefined ? 'Task' : 'Progress',
    content: percent === undefined ? message : String(percent),
    arguments: message,
    time,
  }))
}

/** This node announces itself; its row goes when it stops in order. */
export async function join(ctx: PluginContext): Promise<void> {
  const now = Date.now()
  const { uuid, address, version } = ctx.node
  const row = { uuid, hostName: address, version, joinDate: now, heartBeat: now, ...factsNow(ctx) }
  await ctx.db.write(async (tx) => {
    await remove(tx, managementNode, { uuid: ctx.node.uuid })
    await insert(tx, managementNode, row)
  })
}

/** Rows of nodes that are no members any more; those that died could not remove theirs. */
export async function forgetGone(ctx: PluginContext): Promise<void> {
  await ctx.db.write(async (tx) => {
    // As they are now: a node may have joined since this one looked.
    const members = await memberUuids(tx)
    for (const { uuid } of await find(tx, managementNode, {}))
      if (!members.includes(uuid)) await remove(tx, managementNode, { uuid })
  })
}

/** Goes with the node when it stops in order. */
export async function leave(ctx: PluginContext): Promise<void> {
  await ctx.db.write((tx) => remove(tx, managementNode, { uuid: ctx.node.uuid }))
}

export async function beat(ctx: PluginContext): Promise<void> {
  await ctx.db.write((tx) =>
    update(tx, managementNode, { uuid: ctx.node.uuid }, { heartBeat: Date.now(), ...factsNow(ctx) }),
  )
}

function factsNow(ctx: PluginContext): NodeFacts {
  return Object.assign({}, ...ctx.hooks(nodeFacts).map((tell) => tell())) as NodeFacts
}
