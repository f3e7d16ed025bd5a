import { ringShare } from '#bus'
import { type PluginContext, workEntries } from '#plugin-host'
import type { NodeFacts } from '#plugins/management-node/contract/extensions.ts'
import type { EventLoopMeter } from './event-loop.ts'
import { waitingJobs } from './queue-metrics.ts'

/** How much there is to do on this node, and how it keeps up. */
export function factsOf(ctx: PluginContext, eventLoop: EventLoopMeter): NodeFacts {
  const entries = workEntries(ctx)
  const running = ctx.jobs.running().length
  const waiting = waitingJobs(entries)
  return {
    ringShare: ringShare(ctx.cluster.ring, ctx.node.uuid),
    runningJobs: Math.max(0, running - waiting),
    waitingJobs: waiting,
    queueDepth: entries.filter((entry) => !entry.running).length,
    eventLoopLagMs: Math.round(eventLoop.read().maxMs),
    memoryBytes: process.memoryUsage.rss(),
  }
}
