import { definePlugin } from '#plugin-host'
import { backupStorageHook } from '#plugins/backup-storage/contract/extensions.ts'
import { handleAddImage } from './add-image.ts'
import { createAddWorkflow } from './add-workflow.ts'
import { queryImage } from './contract/apis.ts'
import {
  allowPrivateNetworks,
  deletionPolicy,
  downloadMaxBytes,
  downloadParallelism,
  downloadTimeout,
  expungeInterval,
  expungePeriod,
  filePrefixes,
} from './contract/configs.ts'
import { locateImage } from './contract/messages.ts'
import { image, imageBackupStorageRef, imageCache } from './contract/resources.ts'
import { createCopies } from './copies.ts'
import { handleDeletion } from './deletion.ts'
import { createExpungeWorkflow } from './expunge-workflow.ts'
import { handleImages } from './handlers.ts'
import { locate } from './locate.ts'
import { imageMigrations } from './migrations.ts'
import { createReaper } from './reaper.ts'
import { createStorageHook } from './storage-hook.ts'

export const imagePlugin = definePlugin({
  name: 'image',
  needs: ['backup-storage', 'tag'],
  resources: [image, imageBackupStorageRef, imageCache],
  configs: [
    ...[deletionPolicy, expungePeriod, expungeInterval],
    ...[downloadMaxBytes, downloadTimeout, downloadParallelism, allowPrivateNetworks, filePrefixes],
  ],
  migrations: imageMigrations,
  setup(ctx) {
    const copies = createCopies(ctx)
    const expunge = ctx.workflow(createExpungeWorkflow(ctx, copies))
    handleAddImage(ctx, ctx.workflow(createAddWorkflow(ctx, copies)))
    handleImages(ctx)
    handleDeletion(ctx, expunge)
    ctx.queries(queryImage)
    ctx.serve(locateImage, (input) => locate(ctx.db, input))
    ctx.hook(backupStorageHook, createStorageHook(ctx))
    ctx.every(
      'expunge of deleted images',
      () => ctx.config.get(expungeInterval),
      createReaper(ctx, expunge),
      'each node',
    )
  },
})
