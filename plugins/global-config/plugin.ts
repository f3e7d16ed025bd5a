import { definePlugin } from '#plugin-host'
import { queryGlobalConfig } from './contract/apis.ts'
import { globalConfig } from './contract/resources.ts'
import {
  followGlobalConfigs,
  handleGlobalConfigs,
  loadGlobalConfigs,
  reloadGlobalConfigs,
} from './handlers.ts'
import { globalConfigMigrations } from './migrations.ts'

// A node that was cut off while another changed something is told of it by nobody.
const LOOK_SECONDS = 60

export const globalConfigPlugin = definePlugin({
  name: 'global-config',
  resources: [globalConfig],
  migrations: globalConfigMigrations,
  setup(ctx) {
    handleGlobalConfigs(ctx)
    ctx.queries(queryGlobalConfig)
    followGlobalConfigs(ctx)
    ctx.onLoad(() => loadGlobalConfigs(ctx))
    ctx.every(
      'look at global configurations',
      () => LOOK_SECONDS,
      () => reloadGlobalConfigs(ctx),
      'each node',
    )
  },
})
