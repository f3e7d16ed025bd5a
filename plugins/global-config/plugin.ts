import { definePlugin } from '#plugin-host'
import { queryGlobalConfig } from './contract/apis.ts'
import { globalConfig } from './contract/resources.ts'
import { handleGlobalConfigs, loadGlobalConfigs } from './handlers.ts'
import { globalConfigMigrations } from './migrations.ts'

export const globalConfigPlugin = definePlugin({
  name: 'global-config',
  resources: [globalConfig],
  migrations: globalConfigMigrations,
  setup(ctx) {
    handleGlobalConfigs(ctx)
    ctx.queries(queryGlobalConfig)
    ctx.onLoad(() => loadGlobalConfigs(ctx))
  },
})
