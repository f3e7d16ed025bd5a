import { definePlugin, readinessCheck } from '#plugin-host'
import { queryManagementNode } from './contract/apis.ts'
import { heartbeatInterval, resultLife, resultScan } from './contract/configs.ts'
import { managementNode } from './contract/resources.ts'
import { beat, forgetGone, handleManagementNode, join, leave } from './handlers.ts'
import { managementNodeMigrations } from './migrations.ts'
import { readinessChecks } from './readiness.ts'

export const managementNodePlugin = definePlugin({
  name: 'management-node',
  resources: [managementNode],
  configs: [heartbeatInterval, resultLife, resultScan],
  migrations: managementNodeMigrations,
  setup(ctx) {
    handleManagementNode(ctx)
    ctx.queries(queryManagementNode)
    for (const check of readinessChecks(ctx)) ctx.hook(readinessCheck, check)
    ctx.onReady(async () => {
      await join(ctx)
      await forgetGone(ctx)
      ctx.own({ dispose: () => leave(ctx) })
      ctx.cluster.onChange('removing nodes that are gone from the list', () => forgetGone(ctx))
    })
    ctx.every(
      'heartbeat',
      () => ctx.config.get(heartbeatInterval),
      () => beat(ctx),
      'each node',
    )
    ctx.every(
      'purge results',
      () => ctx.config.get(resultScan),
      async () => {
        await ctx.jobs.purge(ctx.config.get(resultLife) * 1000)
      },
    )
  },
})
