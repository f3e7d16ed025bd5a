import { definePlugin } from '#plugin-host'
import { explainTask } from './contract/apis.ts'
import { tellWhereabouts } from './contract/messages.ts'
import { explain } from './explain.ts'
import { whereaboutsOf } from './whereabouts.ts'

export const taskPlugin = definePlugin({
  name: 'task',
  needs: ['workflow', 'host'],
  setup(ctx) {
    ctx.serve(tellWhereabouts, async ({ taskId }) => whereaboutsOf(ctx, taskId))
    ctx.handle(explainTask, async ({ apiId }) => ({ inventory: await explain(ctx, apiId) }))
  },
})
