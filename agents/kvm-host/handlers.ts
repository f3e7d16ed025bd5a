import { type AgentDeps, type AgentParts, createAgentClient } from '#agent-rpc'
import { KeyedQueues, Scope } from '#kernel'
import type { kvmHostCalls } from './contract/index.ts'
import { createHostHandlers } from './host/handlers.ts'
import { createLibvirtHandlers } from './libvirt/handlers.ts'
import { createMigrationHandlers, type MigrationDeps } from './migration/handlers.ts'
import { createNetworkHandlers } from './network/create-network-handlers.ts'
import { createStorageHandlers } from './storage/handlers.ts'
import { createImageOpener } from './storage/open-image.ts'

const RUN_DIRECTORY = '/run/zstack'
const LIBVIRT = {
  libvirtSocket: '/run/libvirt/libvirt-sock',
  serialLogDirectory: '/var/log/zstack-vm',
} as const

/** All areas of a KVM host agent put together. Disposing closes what they hold here and touches no VM and no network. */
export async function createKvmHostHandlers(deps: AgentDeps): Promise<AgentParts<typeof kvmHostCalls>> {
  const { logger, home, tls, bundleHash, emit } = deps
  const scope = new Scope()
  const libvirt = scope.add(
    await createLibvirtHandlers({ logger, emit, queues: new KeyedQueues(), config: LIBVIRT }),
  )
  const network = scope.add(createNetworkHandlers({ log: logger }))
  const migration = scope.add(
    createMigrationHandlers({
      vm: libvirt.context,
      socketRoot: `${RUN_DIRECTORY}/migration`,
      openTunnel: tunnelOpener(deps),
    }),
  )
  const openImage = createImageOpener({ tls, logger })
  await network.reconcileNetwork()
  return {
    handlers: {
      ...libvirt.handlers,
      ...network.handlers,
      ...migration.handlers,
      ...createStorageHandlers({ stateDirectory: home, openImage, log: logger }),
      ...createHostHandlers({
        client: libvirt.context.client,
        agentVersion: bundleHash,
        agentStartedAtMs: deps.startedAtMs,
        runDirectory: RUN_DIRECTORY,
      }),
    },
    upgradeRoutes: [...libvirt.upgradeRoutes, ...migration.upgradeRoutes],
    dispose: () => scope.dispose(),
  }
}

/** Tunnels to other hosts' agents, each on a connection of its own that outlives the client that opened it. */
function tunnelOpener({ tls, logger }: AgentDeps): MigrationDeps['openTunnel'] {
  return async ({ address, port }, path) => {
    const client = createAgentClient({ address, port, tls, logger })
    try {
      return await client.openTunnel(path)
    } finally {
      client.close()
    }
  }
}
