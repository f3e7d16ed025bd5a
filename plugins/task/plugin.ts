import { definePlugin } from '#plugin-host'
import { explainTask } from './contract/apis.ts'
import { tellQueues, tellWhereabouts } from './contract/messages.ts'
import { getChainTask, getHostTask, getVmTask } from './contract/queue-apis.ts'
import { explain } from './explain.ts'
import { queuesEverywhere, queuesHere } from './queues.ts'
import { whereaboutsOf } from './whereabouts.ts'

export const taskPlugin = definePlugin({
  name: 'task',
  needs: ['workflow', 'host'],
  setup(ctx) {
    ctx.serve(tellWhereabouts, async ({ taskId }) => whereaboutsOf(ctx, taskId))
    ctx.serve(tellQueues, async (wanted) => queuesHere(ctx, wanted))
    ctx.handle(explainTask, async ({ apiId }) => ({ inventory: await explain(ctx, apiId) }))
    ctx.handle(getChainTask, ({ syncSignatures: keys }) => queuesEverywhere(ctx, { keys }))
    ctx.handle(getHostTask, ({ hostUuids: uuids, syncSignatures: keys }) =>
      queuesEverywhere(ctx, { keys, uuids }),
    )
    ctx.handle(getVmTask, ({ vmInstanceUuids: uuids, syncSignatures: keys }) =>
      queuesEverywhere(ctx, { keys, uuids }),
    )
  },
})
