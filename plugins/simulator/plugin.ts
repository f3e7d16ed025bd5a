import { createSimulatedWorld, type SimulatedWorld } from '#agents/simulator/world.ts'
import { definePlugin, type Plugin } from '#plugin-host'
import { backupStorageConnector } from '#plugins/backup-storage/contract/extensions.ts'
import { hostConnector } from '#plugins/host/contract/extensions.ts'
import { primaryStorageDriver } from '#plugins/primary-storage/contract/extensions.ts'
import { agentsOf, type SimulatedAgents } from './agents.ts'
import { createBackupStorageConnector, createHostConnector } from './connectors.ts'
import { backupStorageType, handleSimulators, hostType, primaryStorageType } from './handlers.ts'
import { rebuildDisks } from './rebuild.ts'
import { connectWorld } from './world-socket.ts'

/**
 * Simulated hosts and storages. Tests and benches pass the world they look into; otherwise it is the one at the unix socket
 * ZSTACK_SIMULATED_WORLD, which several management nodes may share, or one of this process's own.
 */
export function createSimulatorPlugin(world?: SimulatedWorld): Plugin {
  const path = process.env.ZSTACK_SIMULATED_WORLD
  if (world === undefined && path !== undefined) return createSimulatorPluginOf(connectWorld(path))
  return pluginOf(agentsOf(world ?? createSimulatedWorld()), { rebuilds: true })
}

/** The same for agents that live elsewhere, so that they outlive this process. */
export function createSimulatorPluginOf(agents: SimulatedAgents): Plugin {
  return pluginOf(agents, { rebuilds: false })
}

function pluginOf(agents: SimulatedAgents, { rebuilds }: { readonly rebuilds: boolean }): Plugin {
  return definePlugin({
    name: 'simulator',
    needs: ['host', 'local-storage', 'backup-storage', 'tag'],
    setup(ctx) {
      const hosts = createHostConnector(ctx, agents)
      const imageServers = createBackupStorageConnector(ctx, agents)
      ctx.provide(hostConnector, hostType, hosts)
      ctx.provide(backupStorageConnector, backupStorageType, imageServers)
      // Simulated hosts have disks like any other: what is simulated is the host, not the way storage is kept.
      ctx.provide(primaryStorageDriver, primaryStorageType, ctx.driver(primaryStorageDriver, 'LocalStorage'))
      handleSimulators(ctx)
      const { client: host } = hosts
      const { client: backupStorage, imageAddress } = imageServers
      if (rebuilds) ctx.onLoad(() => rebuildDisks(ctx, { host, backupStorage, imageAddress }))
    },
  })
}
