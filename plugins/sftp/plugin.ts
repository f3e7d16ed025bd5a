import { type AgentTransport, createAgentTransport } from '#agent-deploy'
import { createSecretBox } from '#kernel'
import { definePlugin, type Plugin } from '#plugin-host'
import { backupStorageConnector } from '#plugins/backup-storage/contract/extensions.ts'
import { garbageType } from '#plugins/garbage-collector/contract/extensions.ts'
import { createConnector } from './connector.ts'
import { querySftpBackupStorage } from './contract/apis.ts'
import { forgetEpoch } from './contract/configs.ts'
import { sftpBackupStorage } from './contract/resources.ts'
import { handleSftp } from './handlers.ts'
import { AGENT_LEFT, agentLeft } from './left-agent.ts'
import { sftpMigrations } from './migrations.ts'

/** The plugin with another way to reach servers, for tests. */
export function createSftpPlugin(makeTransport?: () => AgentTransport): Plugin {
  return definePlugin({
    name: 'sftp',
    needs: ['backup-storage', 'tag', 'garbage-collector'],
    resources: [sftpBackupStorage],
    configs: [forgetEpoch],
    migrations: sftpMigrations,
    async setup(ctx) {
      const { dataDir } = ctx.node
      const secrets = await createSecretBox(dataDir)
      const transport = makeTransport?.() ?? createAgentTransport('backup-storage', ctx.node, ctx.log)
      const connector = ctx.own(createConnector(ctx, secrets, transport))
      ctx.provide(backupStorageConnector, 'SftpBackupStorage', connector)
      ctx.provide(garbageType, AGENT_LEFT, agentLeft(ctx, secrets, transport))
      handleSftp(ctx, secrets, connector)
      ctx.queries(querySftpBackupStorage)
    },
  })
}

export const sftpPlugin = createSftpPlugin()
