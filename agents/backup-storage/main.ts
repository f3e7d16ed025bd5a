import { runAgentProcess } from '#agent-rpc'
import { backupStorageCalls } from './contract/index.ts'
import { createBackupStorageHandlers } from './handlers.ts'

await runAgentProcess({
  role: 'backup-storage',
  calls: backupStorageCalls,
  assemble: async ({ home, bundleHash, logger }) => {
    const deps = { stateDirectory: home, agentVersion: bundleHash, log: logger }
    const { handlers, imagesRoute } = createBackupStorageHandlers(deps)
    return { handlers, peerRoutes: [imagesRoute] }
  },
})
