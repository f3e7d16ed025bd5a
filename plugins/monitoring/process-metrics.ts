import type { NodeInfo } from '#plugin-host'
import type { MetricSource } from './contract/extensions.ts'
import type { EventLoopMeter } from './event-loop.ts'

/** What the runtime knows of the process. */
export function processMetrics(node: NodeInfo, eventLoop: EventLoopMeter): MetricSource {
  const startedAtSeconds = Date.now() / 1000 - process.uptime()
  return {
    name: 'process',
    tell: (sink) => {
      sink.gauge('node_info', 'Who this is; always 1.', 1, { version: node.version, uuid: node.uuid })
      sink.gauge('process_start_time_seconds', 'When it started, since 1970.', startedAtSeconds)
      const { user, system } = process.cpuUsage()
      sink.counter('process_cpu_seconds_total', 'Processor time used.', (user + system) / 1e6)
      const memory = process.memoryUsage()
      sink.gauge('process_resident_memory_bytes', 'Memory in use.', memory.rss)
      sink.gauge('process_heap_used_bytes', 'Objects of the program.', memory.heapUsed)
      sink.gauge('process_heap_size_bytes', 'Set aside for objects.', memory.heapTotal)
      sink.gauge('process_external_memory_bytes', 'Buffers outside the heap.', memory.external)
      const { p50Ms, p99Ms, maxMs, busy } = eventLoop.read()
      const help = 'How late the event loop came to what was due, since the last scrape.'
      const quantiles = [
        ['0.5', p50Ms],
        ['0.99', p99Ms],
        ['1', maxMs],
      ] as const
      for (const [quantile, ms] of quantiles)
        sink.gauge('event_loop_lag_seconds', help, ms / 1000, { quantile })
      sink.gauge('event_loop_busy_ratio', 'Part of the time since the last scrape it was busy.', busy)
    },
  }
}
