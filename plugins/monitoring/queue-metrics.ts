import type { QueueEntry } from '#kernel'
import { type PluginContext, SLOTS, workEntries } from '#plugin-host'
import type { MetricSource } from './contract/extensions.ts'

/** What waits behind what on this node. */
export function queueMetrics(ctx: PluginContext): MetricSource {
  return {
    name: 'queues',
    tell: (sink) => {
      const entries = workEntries(ctx)
      for (const [kind, own] of Map.groupBy(entries, ({ key }) => kindOf(key))) {
        const waiting = own.filter((entry) => !entry.running)
        const longestMs = waiting.reduce((longest, { sinceMs }) => Math.max(longest, sinceMs), 0)
        sink.gauge('queue_running', 'Work under way in queues.', own.length - waiting.length, { kind })
        sink.gauge('queue_waiting', 'Work that waits in queues.', waiting.length, { kind })
        sink.gauge('queue_oldest_wait_seconds', 'The longest wait by now.', longestMs / 1000, { kind })
        sink.gauge('queue_deepest', 'The most that wait for one resource.', deepestOf(waiting), { kind })
      }
      const running = ctx.jobs.running().length
      const waiting = waitingJobs(entries)
      sink.gauge('jobs', 'API calls under way.', running - waiting, { state: 'running' })
      sink.gauge('jobs', 'API calls under way.', waiting, { state: 'waiting' })
    },
  }
}

function deepestOf(waiting: readonly QueueEntry[]): number {
  const depths = new Map<string, number>()
  for (const { key } of waiting) depths.set(key, (depths.get(key) ?? 0) + 1)
  return [...depths.values()].reduce((deepest, depth) => Math.max(deepest, depth), 0)
}

/** `vm:5f…` -> `vm`. */
function kindOf(key: string): string {
  const at = key.indexOf(':')
  if (at >= 0) return key.slice(0, at)
  return key === SLOTS ? SLOTS : 'other'
}

/** Calls that wait for their turn in some queue. */
export function waitingJobs(entries: readonly QueueEntry[]): number {
  const waiting = new Set<string>()
  for (const { running, taskId } of entries) if (!running && taskId !== undefined) waiting.add(taskId)
  return waiting.size
}
