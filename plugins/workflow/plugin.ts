import { definePlugin } from '#plugin-host'
import { queryWorkflow } from './contract/apis.ts'
import { workflow, workflowStep } from './contract/resources.ts'
import { handleWorkflows } from './handlers.ts'

export const workflowPlugin = definePlugin({
  name: 'workflow',
  resources: [workflow, workflowStep],
  setup(ctx) {
    handleWorkflows(ctx)
    ctx.queries(queryWorkflow)
  },
})
