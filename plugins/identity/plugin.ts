import { authenticator, definePlugin } from '#plugin-host'
import { queryAccount } from './contract/account-apis.ts'
import { maxSessions, sessionCleanupInterval, sessionTimeout } from './contract/configs.ts'
import { account, session } from './contract/resources.ts'
import { ensureAdmin, handleAccounts, handleSessions } from './handlers.ts'
import { identityMigrations } from './migrations.ts'
import { createSessions } from './sessions.ts'

export const identityPlugin = definePlugin({
  name: 'identity',
  resources: [account, session],
  configs: [sessionTimeout, maxSessions, sessionCleanupInterval],
  migrations: identityMigrations,
  setup(ctx) {
    const sessions = createSessions(ctx.db, ctx.config)
    ctx.provide(authenticator, 'session', (uuid) => sessions.use(uuid))
    handleSessions(ctx, sessions)
    handleAccounts(ctx)
    ctx.queries(queryAccount)
    ctx.onLoad(() => ensureAdmin(ctx))
    ctx.every(
      'remove expired sessions',
      () => ctx.config.get(sessionCleanupInterval),
      async () => {
        await sessions.removeExpired()
      },
    )
  },
})
