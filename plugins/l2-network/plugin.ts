import { definePlugin } from '#plugin-host'
import { l2Workflows } from './cluster-workflows.ts'
import { queryL2Network } from './contract/apis.ts'
import { l2Network, l2NetworkClusterRef } from './contract/resources.ts'
import { type Attaching, handleL2Networks } from './handlers.ts'
import { l2NetworkMigrations } from './migrations.ts'
import { joinPlacement } from './placement.ts'

export const l2NetworkPlugin = definePlugin({
  name: 'l2-network',
  needs: ['zone', 'cluster', 'host', 'tag'],
  resources: [l2Network, l2NetworkClusterRef],
  migrations: l2NetworkMigrations,
  setup(ctx) {
    const workflows = l2Workflows(ctx)
    for (const workflow of Object.values(workflows)) ctx.workflow(workflow as never)
    const attaching: Attaching = new Set()
    handleL2Networks(ctx, workflows, attaching)
    joinPlacement(ctx, attaching)
    ctx.queries(queryL2Network)
  },
})
