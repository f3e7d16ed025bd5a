import { definePlugin } from '#plugin-host'
import { zoneHook } from '#plugins/zone/contract/extensions.ts'
import { createAddWorkflow } from './add-workflow.ts'
import { createConnections } from './connections.ts'
import { queryBackupStorage } from './contract/apis.ts'
import * as configs from './contract/configs.ts'
import {
  addBackupStorage,
  connectBackupStorage,
  imageAddress,
  refreshBackupStorage,
} from './contract/messages.ts'
import { backupStorage, backupStorageZoneRef } from './contract/resources.ts'
import { createDeleteWorkflow } from './delete-workflow.ts'
import { handleBackupStorages } from './handlers.ts'
import { backupStorageMigrations } from './migrations.ts'
import { createPing } from './ping.ts'
import { handleZoneAttachment, refuseAttachedZone } from './zone-attachment.ts'

export const backupStoragePlugin = definePlugin({
  name: 'backup-storage',
  needs: ['zone', 'tag'],
  resources: [backupStorage, backupStorageZoneRef],
  configs: Object.values(configs),
  migrations: backupStorageMigrations,
  setup(ctx) {
    const connections = createConnections(ctx)
    const add = ctx.workflow(createAddWorkflow(ctx))
    handleBackupStorages(ctx, connections, ctx.workflow(createDeleteWorkflow(ctx)))
    handleZoneAttachment(ctx)
    ctx.queries(queryBackupStorage)
    ctx.serve(addBackupStorage, (input) => ctx.workflows.run(add, input))
    ctx.serve(connectBackupStorage, ({ backupStorageUuid }) => connections.connect(backupStorageUuid))
    ctx.serve(refreshBackupStorage, ({ backupStorageUuid }) => connections.refresh(backupStorageUuid))
    ctx.serve(imageAddress, ({ backupStorageUuid }) => connections.imageAddress(backupStorageUuid))
    ctx.hook(zoneHook, { beforeDelete: (zoneUuid) => refuseAttachedZone(ctx.db, zoneUuid) })
    const pingAll = createPing(ctx, connections)
    ctx.every('ping of backup storages', () => ctx.config.get(configs.pingInterval), pingAll, 'each node')
  },
})
