import { definePlugin } from '#plugin-host'
import { garbageType } from '#plugins/garbage-collector/contract/extensions.ts'
import { queryNetworkServiceL3NetworkRef, queryNetworkServiceProvider } from './contract/apis.ts'
import {
  networkServiceL3NetworkRef,
  networkServiceProvider,
  networkServiceProviderL2NetworkRef,
  networkServiceType,
} from './contract/resources.ts'
import { detachServicesWorkflow } from './detach-services.ts'
import { handleNetworkServices, serveNetworkServices } from './handlers.ts'
import { NETWORK_LEFT, networkLeft } from './left-network.ts'
import { networkServiceMigrations } from './migrations.ts'
import { ensureProviders } from './providers.ts'

export const networkServicePlugin = definePlugin({
  name: 'network-service',
  needs: ['l2-network', 'l3-network', 'garbage-collector'],
  resources: [
    networkServiceProvider,
    networkServiceType,
    networkServiceProviderL2NetworkRef,
    networkServiceL3NetworkRef,
  ],
  migrations: networkServiceMigrations,
  setup(ctx) {
    handleNetworkServices(ctx, ctx.workflow(detachServicesWorkflow(ctx)))
    serveNetworkServices(ctx)
    ctx.provide(garbageType, NETWORK_LEFT, networkLeft(ctx))
    ctx.queries(queryNetworkServiceProvider, queryNetworkServiceL3NetworkRef)
    ctx.onReady(() => ensureProviders(ctx))
  },
})
