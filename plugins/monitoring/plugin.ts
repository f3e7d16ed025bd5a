import { definePlugin, monitorRoute } from '#plugin-host'
import { nodeFacts } from '#plugins/management-node/contract/extensions.ts'
import { metricSource } from './contract/extensions.ts'
import { createEventLoopMeter } from './event-loop.ts'
import { metricsRoute } from './metrics-route.ts'
import { factsOf } from './node-facts.ts'
import { processMetrics } from './process-metrics.ts'
import { readMetricsToken } from './token-file.ts'
import { workMetrics } from './work-metrics.ts'

export const monitoringPlugin = definePlugin({
  name: 'monitoring',
  needs: ['host', 'workflow', 'management-node'],
  async setup(ctx) {
    const token = await readMetricsToken(ctx.node.dataDir)
    const forScrapes = ctx.own(createEventLoopMeter())
    const forFacts = ctx.own(createEventLoopMeter())
    ctx.hook(nodeFacts, () => factsOf(ctx, forFacts))
    for (const source of [processMetrics(ctx.node, forScrapes), ...workMetrics(ctx)])
      ctx.hook(metricSource, source)
    ctx.hook(monitorRoute, metricsRoute({ log: ctx.log, token, sources: () => ctx.hooks(metricSource) }))
  },
})
