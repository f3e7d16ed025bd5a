import { definePlugin } from '#plugin-host'
import { queryPrimaryStorage } from './contract/apis.ts'
import * as configs from './contract/configs.ts'
import { primaryStorage, primaryStorageClusterRef } from './contract/resources.ts'
import { handleAttachments, handlePrimaryStorage, observeHosts } from './handlers.ts'
import { primaryStorageMigrations } from './migrations.ts'
import { serveMoves } from './moves.ts'
import { serveSpace } from './space.ts'

export const primaryStoragePlugin = definePlugin({
  name: 'primary-storage',
  needs: ['host', 'tag'],
  resources: [primaryStorage, primaryStorageClusterRef],
  configs: Object.values(configs),
  migrations: primaryStorageMigrations,
  setup(ctx) {
    handlePrimaryStorage(ctx)
    handleAttachments(ctx)
    observeHosts(ctx)
    serveSpace(ctx)
    serveMoves(ctx)
    ctx.queries(queryPrimaryStorage)
  },
})
