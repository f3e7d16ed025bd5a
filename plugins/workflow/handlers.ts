import { find, findOne } from '#db'
import { CloudError, fromErrorBody, sysErrors, withoutSecrets } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { abandonWorkflow, retryWorkflow } from './contract/apis.ts'
import { abandonWorkflowHere, retryWorkflowHere } from './contract/messages.ts'
import { type WorkflowStep, workflow, workflowState, workflowStep } from './contract/resources.ts'

export function handleWorkflows(ctx: PluginContext): void {
  ctx.handle(retryWorkflow, async ({ uuid }) => {
    const { name, nodeUuid } = await requireStuck(ctx, uuid, 'taken up again')
    const { outcome } = await ctx.bus.callNode(nodeUuid, retryWorkflowHere, { uuid })
    return { outcome, name }
  })
  ctx.handle(abandonWorkflow, async ({ uuid }) => {
    const { name, nodeUuid } = await requireStuck(ctx, uuid, 'abandoned')
    const { left } = await ctx.bus.callNode(nodeUuid, abandonWorkflowHere, { uuid })
    return { name, left }
  })
  serveWorkflows(ctx)
}

/** What only the node does whose journal the workflow is in: one thing at a time for each. */
function serveWorkflows(ctx: PluginContext): void {
  ctx.serve(retryWorkflowHere, ({ uuid }) =>
    ctx.queues.run(`workflow:${uuid}`, retryWorkflow.name, async () => {
      const { name } = await requireStuck(ctx, uuid, 'taken up again')
      const { outcome, error } = await ctx.workflows.retry(uuid)
      if (outcome === 'stuck') throw (await undoFailure(ctx, uuid, name)) ?? error
      ctx.log.info({ workflow: name, workflowUuid: uuid }, 'a stuck workflow was taken back by an operator')
      return { outcome }
    }),
  )
  ctx.serve(abandonWorkflowHere, ({ uuid }) =>
    ctx.queues.run(`workflow:${uuid}`, abandonWorkflow.name, async () => {
      const { name } = await requireStuck(ctx, uuid, 'abandoned')
      const left = (await stepsLeft(ctx, uuid, name)).map(({ name: step, input, undoError }) => ({
        step,
        input: withoutSecrets(input),
        ...(undoError === undefined ? {} : { undoError }),
      }))
      await ctx.workflows.abandon(uuid)
      ctx.log.warn({ workflow: name, workflowUuid: uuid, left }, 'a stuck workflow was abandoned')
      return { left }
    }),
  )
}

async function requireStuck(ctx: PluginContext, uuid: string, what: string) {
  const row = await findOne(ctx.db, workflow, { uuid })
  if (row === undefined) {
    const details = `there is no unfinished workflow ${uuid}: it has ended, or never was`
    throw new CloudError(sysErrors.resourceNotFound, details)
  }
  if (row.state !== workflowState.stuck) {
    const details = `${row.name} ${uuid} is ${row.state}; only a stuck workflow can be ${what}`
    throw new CloudError(sysErrors.operationFailed, details)
  }
  return row
}

/** What has not been taken back and has something to take back, last begun first. */
async function stepsLeft(ctx: PluginContext, workflowUuid: string, name: string): Promise<WorkflowStep[]> {
  const steps = await find(ctx.db, workflowStep, { workflowUuid, undone: false }, { orderBy: ['seq'] })
  const declared = ctx.workflows.registered.get(name)?.steps ?? []
  const isNothing = (step: WorkflowStep) =>
    typeof declared.find((d) => d.name === step.name)?.undo === 'object' && step.undoError === undefined
  return steps.reverse().filter((step) => !isNothing(step))
}

/** Why the undo stopped, in the undo's own words; undefined when it is not one that failed. */
async function undoFailure(ctx: PluginContext, uuid: string, name: string): Promise<CloudError | undefined> {
  const left = await stepsLeft(ctx, uuid, name)
  const failed = left.find((step) => step.undoError !== undefined)
  if (failed === undefined) return undefined
  const reason = failed.undoError as { code?: string; details?: string }
  const waiting = left.length - 1
  const details = `step ${failed.name} of ${name} still cannot be taken back: ${reason.details}${
    waiting === 0 ? '' : ` (${waiting} more step${waiting === 1 ? '' : 's'} wait for it)`
  }`
  return new CloudError(sysErrors.operationFailed, details, {
    opaque: { step: failed.name, workflow: name, stuckSteps: left.length },
    ...(reason.code === undefined ? {} : { cause: fromErrorBody(failed.undoError as never) }),
  })
}
