import { definePlugin } from '#plugin-host'
import { queryZone } from './contract/apis.ts'
import { zone } from './contract/resources.ts'
import { handleZones } from './handlers.ts'
import { zoneMigrations } from './migrations.ts'

export const zonePlugin = definePlugin({
  name: 'zone',
  needs: ['tag'],
  resources: [zone],
  migrations: zoneMigrations,
  setup(ctx) {
    handleZones(ctx)
    ctx.queries(queryZone)
  },
})
