import { find, findOne, oneOf } from '#db'
import { CloudError, describeError, type QueueEntry, sysErrors } from '#kernel'
import type { JobStatus, PluginContext } from '#plugin-host'
import { host } from '#plugins/host/contract/resources.ts'
import { workflow, workflowStep } from '#plugins/workflow/contract/resources.ts'
import { tellWhereabouts, type Whereabouts } from './contract/messages.ts'
import { jobOrigin } from './contract/resources.ts'

const nothing: Whereabouts = { queues: [], agentCalls: [], progress: [] }

/** Puts together what the database, the process that runs it and its queues know of a task. Throws SYS.1003 for an unknown one. */
export async function explain(ctx: PluginContext, uuid: string) {
  const status = await ctx.jobs.status(uuid)
  if (status === undefined) {
    const details = `there is no task ${uuid}: it never was, or its result was kept long enough (rest completedApi.expiredPeriod)`
    throw new CloudError(sysErrors.resourceNotFound, details)
  }
  const origin = await findOne(ctx.db, jobOrigin, { uuid })
  const { where, silence } = await askWhere(ctx, uuid, status)
  const waits = waitsOf(where.queues, uuid)
  const agentCalls = await named(ctx, where)
  return {
    uuid,
    apiName: status.apiName,
    state: stateOf(status, waits.length > 0 && agentCalls.length === 0),
    accountUuid: origin?.accountUuid,
    nodeUuid: origin?.nodeUuid,
    nodeSilence: silence,
    createDate: status.createDate,
    finishDate: status.finishDate,
    durationMs: (status.finishDate ?? Date.now()) - status.createDate,
    holds: where.queues.filter((entry) => entry.running && entry.taskId === uuid).map(shownEntry),
    waits,
    workflows: await workflowsOf(ctx, uuid, where),
    agentCalls,
    progress: where.progress.map((line) => ({ ...line })),
    error: status.result !== undefined && 'error' in status.result ? status.result.error : undefined,
  }
}

/** Asks the node that runs it. One that has just died cannot tell, and whoever takes its work over will. */
async function askWhere(
  ctx: PluginContext,
  taskId: string,
  { state, nodeUuid = ctx.node.uuid }: JobStatus,
): Promise<{ where: Whereabouts; silence: string | undefined }> {
  if (state === 'Done') return { where: nothing, silence: undefined }
  try {
    return { where: await ctx.bus.callNode(nodeUuid, tellWhereabouts, { taskId }), silence: undefined }
  } catch (error) {
    if (!(error instanceof CloudError)) throw error
    return { where: nothing, silence: describeError(error) }
  }
}

function stateOf({ state, result }: JobStatus, isWaiting: boolean): string {
  if (state !== 'Done') return isWaiting ? 'Waiting' : 'Running'
  return result !== undefined && 'error' in result ? 'Failed' : 'Succeeded'
}

function shownEntry({ key, label, taskId, running, sinceMs }: QueueEntry) {
  return { queue: key, label, taskId, running, forMs: sinceMs }
}

// Thousands may wait for a slot; nobody reads them all.
const MAX_AHEAD = 20

/** Each queue in which it is not its turn yet, with all that comes before. */
function waitsOf(entries: readonly QueueEntry[], taskId: string) {
  return entries
    .filter((entry) => !entry.running && entry.taskId === taskId)
    .map((own) => {
      const queue = entries.filter(({ key }) => key === own.key)
      return {
        queue: own.key,
        forMs: own.sinceMs,
        aheadCount: queue.indexOf(own),
        ahead: queue.slice(0, Math.min(MAX_AHEAD, queue.indexOf(own))).map(shownEntry),
      }
    })
}

async function workflowsOf(ctx: PluginContext, taskId: string, where: Whereabouts) {
  const rows = await find(ctx.db, workflow, { taskId }, { orderBy: ['createDate'] })
  const now = Date.now()
  return Promise.all(
    rows.map(async ({ uuid, name, state, createDate }) => {
      const steps = await find(ctx.db, workflowStep, { workflowUuid: uuid }, { orderBy: ['seq'] })
      const at = steps.filter((step) => !step.undone).at(-1)
      // A task tells of each step as it begins it; of the way back it tells nothing.
      const begun = where.progress.filter(({ message }) => message === at?.name).at(-1)
      return {
        ...{ uuid, name, state, forMs: now - createDate },
        step: at?.name,
        stepNumber: steps.length,
        stepForMs: begun === undefined || state !== 'Running' ? undefined : now - begun.time,
        undoError: at?.undoError,
      }
    }),
  )
}

/** Adds what the hosts at the addresses are called. */
async function named(ctx: PluginContext, { agentCalls }: Whereabouts) {
  if (agentCalls.length === 0) return []
  const addresses = [...new Set(agentCalls.map(({ address }) => address))]
  const hosts = await find(ctx.db, host, { managementIp: oneOf(addresses) })
  const names = new Map(hosts.map(({ managementIp, name }) => [managementIp, name]))
  return agentCalls.map((call) => ({ ...call, name: names.get(call.address) }))
}
