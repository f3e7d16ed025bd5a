import { definePlugin } from '#plugin-host'
import { querySystemTag, queryUserTag } from './contract/apis.ts'
import { systemTag, userTag } from './contract/resources.ts'
import { handleTags, serveTags } from './handlers.ts'
import { tagMigrations } from './migrations.ts'

export const tagPlugin = definePlugin({
  name: 'tag',
  resources: [userTag, systemTag],
  migrations: tagMigrations,
  setup(ctx) {
    handleTags(ctx)
    serveTags(ctx)
    ctx.queries(queryUserTag, querySystemTag)
  },
})
