import { definePlugin } from '#plugin-host'
import { diskOffering, instanceOffering } from './contract/resources.ts'
import { handleDiskOfferings, handleInstanceOfferings } from './handlers.ts'
import { offeringMigrations } from './migrations.ts'

export const offeringPlugin = definePlugin({
  name: 'offering',
  needs: ['tag'],
  resources: [instanceOffering, diskOffering],
  migrations: offeringMigrations,
  setup(ctx) {
    handleInstanceOfferings(ctx)
    handleDiskOfferings(ctx)
  },
})
