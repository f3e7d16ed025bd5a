import { get } from '#db'
import { definePlugin } from '#plugin-host'
import { hostAllocation } from './allocation.ts'
import { connectionInterval, createHostConnections, startConnections } from './connection.ts'
import { hostAgents } from './contract/agent-of-host.ts'
import { queryHost } from './contract/apis.ts'
import * as configs from './contract/configs.ts'
import { hostConnector } from './contract/extensions.ts'
import { host } from './contract/resources.ts'
import { handleCapacity, handleHosts } from './handlers.ts'
import { hostMigrations } from './migrations.ts'
import { namedAgent } from './named-agent.ts'
import { servePlacement } from './placement.ts'

export const hostPlugin = definePlugin({
  name: 'host',
  needs: ['cluster', 'tag'],
  resources: [host, hostAllocation],
  configs: Object.values(configs),
  migrations: hostMigrations,
  setup(ctx) {
    ctx.provide(hostAgents, 'any', async (uuid) => {
      const { hypervisorType, name } = await get(ctx.db, host, uuid)
      return namedAgent(await ctx.driver(hostConnector, hypervisorType).client(uuid), name)
    })
    const connections = ctx.own(createHostConnections(ctx))
    handleHosts(ctx, connections)
    handleCapacity(ctx)
    servePlacement(ctx)
    ctx.queries(queryHost)
    ctx.onReady(() => startConnections(ctx, connections))
    ctx.every('look after hosts', connectionInterval(ctx), () => connections.lookAfterAll(), 'each node')
  },
})
