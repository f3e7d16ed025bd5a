import { definePlugin, upgradeRoute } from '#plugin-host'
import { createConsoleAccess } from './access.ts'
import { proxyAddress, proxyIdleTimeout, proxyPort, tokenTimeout } from './contract/configs.ts'
import { handleConsoles } from './handlers.ts'
import { ConsoleTokens } from './tokens.ts'

export const consolePlugin = definePlugin({
  name: 'console',
  needs: ['identity', 'host', 'vm'],
  configs: [proxyIdleTimeout, tokenTimeout, proxyAddress, proxyPort],
  setup(ctx) {
    const tokens = new ConsoleTokens()
    handleConsoles(ctx, tokens)
    ctx.hook(upgradeRoute, ctx.own(createConsoleAccess(ctx, tokens)).route)
  },
})
