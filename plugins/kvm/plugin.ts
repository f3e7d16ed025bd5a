import { type AgentTransport, createAgentTransport } from '#agent-deploy'
import { createSecretBox } from '#kernel'
import { definePlugin, type Plugin } from '#plugin-host'
import { garbageType } from '#plugins/garbage-collector/contract/extensions.ts'
import { hostConnector } from '#plugins/host/contract/extensions.ts'
import { createKvmConnector } from './connector.ts'
import * as configs from './contract/configs.ts'
import { kvmHost } from './contract/resources.ts'
import { handleKvmHosts } from './handlers.ts'
import { AGENT_LEFT, agentLeft } from './left-agent.ts'
import { kvmMigrations } from './migrations.ts'

/** The plugin with another way to reach hosts, for tests. */
export function createKvmPlugin(makeTransport?: () => AgentTransport): Plugin {
  return definePlugin({
    name: 'kvm',
    needs: ['host', 'tag', 'garbage-collector'],
    resources: [kvmHost],
    configs: Object.values(configs),
    migrations: kvmMigrations,
    async setup(ctx) {
      const secrets = await createSecretBox(ctx.node.dataDir)
      const transport = makeTransport?.() ?? createAgentTransport('kvm-host', ctx.node, ctx.log)
      ctx.provide(hostConnector, 'KVM', ctx.own(createKvmConnector(ctx, secrets, transport)))
      ctx.provide(garbageType, AGENT_LEFT, agentLeft(ctx, secrets, transport))
      handleKvmHosts(ctx, secrets)
    },
  })
}

export const kvmPlugin = createKvmPlugin()
