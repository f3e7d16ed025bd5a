import { authenticator, definePlugin } from '#plugin-host'
import { queryAccount } from './contract/account-apis.ts'
import { maxSessions, sessionCleanupInterval, sessionTimeout } from './contract/configs.ts'
import { account, session } from './contract/resources.ts'
import { ensureAdmin, handleAccounts, handleSessions } from './handlers.ts'
import { identityMigrations } from './migrations.ts'
import type { PasswordCost } from './password.ts'
import { createSessions } from './sessions.ts'

/** `cost` is what new passwords are hashed at; the usual one when absent. */
export const createIdentityPlugin = (cost?: PasswordCost) =>
  definePlugin({
    name: 'identity',
    resources: [account, session],
    configs: [sessionTimeout, maxSessions, sessionCleanupInterval],
    migrations: identityMigrations,
    setup(ctx) {
      const sessions = createSessions(ctx.db, ctx.config)
      ctx.provide(authenticator, 'session', (uuid) => sessions.use(uuid))
      handleSessions(ctx, sessions, cost)
      handleAccounts(ctx, cost)
      ctx.queries(queryAccount)
      ctx.onLoad(() => ensureAdmin(ctx, cost))
      ctx.every(
        'remove expired sessions',
        () => ctx.config.get(sessionCleanupInterval),
        async () => {
          await sessions.removeExpired()
        },
      )
    },
  })

export const identityPlugin = createIdentityPlugin()
