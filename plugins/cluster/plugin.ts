import { definePlugin } from '#plugin-host'
import { queryCluster } from './contract/apis.ts'
import { cluster } from './contract/resources.ts'
import { handleClusters } from './handlers.ts'
import { clusterMigrations } from './migrations.ts'

export const clusterPlugin = definePlugin({
  name: 'cluster',
  needs: ['zone', 'tag'],
  resources: [cluster],
  migrations: clusterMigrations,
  setup(ctx) {
    handleClusters(ctx)
    ctx.queries(queryCluster)
  },
})
