import { definePlugin } from '#plugin-host'
import { garbageType } from '#plugins/garbage-collector/contract/extensions.ts'
import { l2Workflows } from './cluster-workflows.ts'
import { queryL2Network } from './contract/apis.ts'
import { l2Network, l2NetworkClusterRef } from './contract/resources.ts'
import { type Attaching, handleL2Networks } from './handlers.ts'
import { BRIDGE_LEFT, bridgeLeft } from './left-bridge.ts'
import { l2NetworkMigrations } from './migrations.ts'
import { joinPlacement } from './placement.ts'

export const l2NetworkPlugin = definePlugin({
  name: 'l2-network',
  needs: ['zone', 'cluster', 'host', 'tag', 'garbage-collector'],
  resources: [l2Network, l2NetworkClusterRef],
  migrations: l2NetworkMigrations,
  setup(ctx) {
    const workflows = l2Workflows(ctx)
    for (const workflow of Object.values(workflows)) ctx.workflow(workflow as never)
    const attaching: Attaching = new Set()
    handleL2Networks(ctx, workflows, attaching)
    joinPlacement(ctx, attaching)
    ctx.provide(garbageType, BRIDGE_LEFT, bridgeLeft(ctx))
    ctx.queries(queryL2Network)
  },
})
