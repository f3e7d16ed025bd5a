import { definePlugin } from '#plugin-host'
import * as configs from './contract/configs.ts'
import { queryVmInstance } from './contract/create-apis.ts'
import { queryVmNic } from './contract/nic-apis.ts'
import { vmInstance, vmNic } from './contract/resources.ts'
import { serveNics } from './converge-services.ts'
import { handleDeletion } from './deletion.ts'
import { serveVms } from './disks.ts'
import { handleCreation, handleMigration, handlePower } from './handlers.ts'
import { vmMigrations } from './migrations.ts'
import { handleNics } from './nics.ts'
import { observeHosts } from './reconcile.ts'
import { registerVmTags } from './tags.ts'

export const vmPlugin = definePlugin({
  name: 'vm',
  needs: ['host', 'volume', 'image', 'offering', 'l3-network', 'network-service', 'tag'],
  resources: [vmInstance, vmNic],
  configs: Object.values(configs),
  migrations: vmMigrations,
  setup(ctx) {
    handleCreation(ctx)
    handlePower(ctx)
    handleMigration(ctx)
    handleDeletion(ctx)
    handleNics(ctx)
    serveVms(ctx)
    serveNics(ctx)
    observeHosts(ctx)
    registerVmTags(ctx)
    ctx.queries(queryVmInstance, queryVmNic)
  },
})
