import { createAgentTransport } from '#agent-deploy'
import { createSecretBox } from '#kernel'
import { definePlugin } from '#plugin-host'
import { hostConnector } from '#plugins/host/contract/extensions.ts'
import { createKvmConnector } from './connector.ts'
import * as configs from './contract/configs.ts'
import { kvmHost } from './contract/resources.ts'
import { handleKvmHosts } from './handlers.ts'
import { kvmMigrations } from './migrations.ts'

export const kvmPlugin = definePlugin({
  name: 'kvm',
  needs: ['host', 'tag'],
  resources: [kvmHost],
  configs: Object.values(configs),
  migrations: kvmMigrations,
  async setup(ctx) {
    const { dataDir } = ctx.node
    const secrets = await createSecretBox(dataDir)
    const transport = createAgentTransport('kvm-host', ctx.node, ctx.log)
    ctx.provide(hostConnector, 'KVM', ctx.own(createKvmConnector(ctx, secrets, transport)))
    handleKvmHosts(ctx, secrets)
  },
})
