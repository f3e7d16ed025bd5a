import { definePlugin, webRoute } from '#plugin-host'
import { createPages } from './pages.ts'

/** Serves the web interface and the VNC client it uses. The pages speak to the API on their own origin. */
export const uiPlugin = definePlugin({
  name: 'ui',
  async setup(ctx) {
    for (const route of await createPages()) ctx.hook(webRoute, route)
  },
})
