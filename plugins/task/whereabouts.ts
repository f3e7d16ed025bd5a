import { agentTraffic } from '#agent-rpc'
import { type PluginContext, workEntries } from '#plugin-host'
import type { Whereabouts } from './contract/messages.ts'

/** What this process knows of a task. */
export function whereaboutsOf(ctx: PluginContext, taskId: string): Whereabouts {
  const entries = workEntries(ctx)
  const keys = new Set(entries.filter((entry) => entry.taskId === taskId).map(({ key }) => key))
  const now = performance.now()
  return {
    queues: entries.filter(({ key }) => keys.has(key)),
    agentCalls: agentTraffic.underWay(taskId).map(({ call, where, sentAtMs }) => ({
      call,
      address: where,
      forMs: Math.round(now - sentAtMs),
    })),
    progress: [...(ctx.jobs.progressOf(taskId)?.entries ?? [])],
  }
}
