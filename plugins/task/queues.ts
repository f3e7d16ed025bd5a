import { CloudError, describeError, type QueueEntry } from '#kernel'
import { type PluginContext, workEntries } from '#plugin-host'
import { type QueueOnNode, tellQueues } from './contract/messages.ts'

// Thousands may wait in one queue; nobody reads them all.
const MAX_PENDING = 200

/** Which queues: those with these keys, and those of these objects. Neither: all. */
export interface Wanted {
  readonly keys?: readonly string[] | undefined
  readonly uuids?: readonly string[] | undefined
}

/** Queues and lanes of this node, what waits cut off where nobody would read on. */
export function queuesHere(ctx: PluginContext, wanted: Wanted): QueueOnNode[] {
  const names = new Map(ctx.jobs.running().map(({ uuid, apiName }) => [uuid, apiName]))
  const shown = (entry: QueueEntry) => ({ ...entry, apiName: names.get(entry.taskId ?? '') })
  const byKey = Map.groupBy(workEntries(ctx), ({ key }) => key)
  return [...byKey].flatMap(([key, entries]) => {
    if (!isWanted(key, wanted)) return []
    const waiting = entries.filter(({ running }) => !running)
    const running = entries.filter((entry) => entry.running).map(shown)
    const pending = waiting.slice(0, MAX_PENDING).map(shown)
    return [{ key, running, pending, pendingCount: waiting.length }]
  })
}

/** The queues of all management nodes. One that does not answer in time is named, with the reason. */
export async function queuesEverywhere(ctx: PluginContext, wanted: Wanted) {
  const results: Record<string, ChainInfo> = {}
  const nodeSilence: Record<string, string> = {}
  const ask = async (node: string) => {
    try {
      const queues = await ctx.bus.callNode(node, tellQueues, { ...wanted })
      for (const queue of queues) add(results, node, queue)
    } catch (error) {
      if (!(error instanceof CloudError)) throw error
      nodeSilence[node] = describeError(error)
    }
  }
  await Promise.all(ctx.cluster.members.map(({ uuid }) => ask(uuid)))
  return { results, ...(Object.keys(nodeSilence).length === 0 ? {} : { nodeSilence }) }
}

type TaskInfo = ReturnType<typeof taskInfo>

interface ChainInfo {
  readonly runningTask: TaskInfo[]
  readonly pendingTask: TaskInfo[]
  pendingCount: number
}

/** A lane has a part on each node that asks something of the machine. */
function add(results: Record<string, ChainInfo>, node: string, queue: QueueOnNode): void {
  const chain = results[queue.key] ?? { runningTask: [], pendingTask: [], pendingCount: 0 }
  results[queue.key] = chain
  chain.pendingCount += queue.pendingCount
  for (const entry of queue.running) chain.runningTask.push(taskInfo(node, chain.runningTask.length, entry))
  for (const entry of queue.pending) chain.pendingTask.push(taskInfo(node, chain.pendingTask.length, entry))
}

function taskInfo(context: string, index: number, entry: QueueOnNode['running'][number]) {
  const { label, taskId: apiId, apiName, running, sinceMs } = entry
  const times = running
    ? { pendingTime: 0, executionTime: sinceMs }
    : { pendingTime: sinceMs, executionTime: 0 }
  return { name: label, className: label, index, ...times, context, apiId, apiName }
}

/** `storage-work:<storage>/<host>` is both the storage's and the host's. */
function isWanted(key: string, { keys, uuids }: Wanted): boolean {
  if (keys === undefined && uuids === undefined) return true
  return keys?.includes(key) === true || key.split(/[:/]/).some((part) => uuids?.includes(part))
}
