import { definePlugin } from '#plugin-host'
import { systemTagPattern } from '#plugins/tag/contract/extensions.ts'
import { handleAttachments } from './attachments.ts'
import { queryVolume } from './contract/apis.ts'
import * as configs from './contract/configs.ts'
import { volume } from './contract/resources.ts'
import { serveVolumes } from './files.ts'
import { handleVolumeDeletion, handleVolumes, localHostTag } from './handlers.ts'
import { volumeMigrations } from './migrations.ts'

export const volumePlugin = definePlugin({
  name: 'volume',
  needs: ['primary-storage', 'offering', 'tag'],
  resources: [volume],
  configs: Object.values(configs),
  migrations: volumeMigrations,
  setup(ctx) {
    handleVolumes(ctx)
    handleVolumeDeletion(ctx)
    handleAttachments(ctx)
    serveVolumes(ctx)
    ctx.queries(queryVolume)
    ctx.hook(systemTagPattern, { resourceType: 'VolumeVO', pattern: localHostTag })
  },
})
