import { CloudError, describeError, toErrorBody } from '#kernel'
import type { AnyStep, StepContext, Workflow } from './define.ts'
import type { EngineDeps } from './engine.ts'
import type { StepRow } from './journal.ts'

/**
 * Undoes `steps` in reverse. An undo that throws is recorded and the others still run; the workflow is then left `Stuck`, to be
 * tried again. Returns how many could not be undone. Rollback ignores cancellation.
 */
export async function rollBack(
  deps: EngineDeps,
  workflow: Workflow<never, unknown>,
  uuid: string,
  steps: readonly StepRow[],
  context: StepContext,
): Promise<number> {
  let left = 0
  for (const row of [...steps].reverse()) {
    const step = workflow.steps.find((s) => s.name === row.name)
    try {
      if (step === undefined) throw new Error(`workflow ${workflow.name} has no step ${row.name} any more`)
      await undo(deps, workflow.name, step, row, context)
      await deps.journal.undone(uuid, row.seq)
    } catch (error) {
      left += 1
      const body = error instanceof CloudError ? toErrorBody(error) : { details: describeError(error) }
      context.log.error({ step: row.name, err: describeError(error) }, 'a step could not be undone')
      await deps.journal.undoFailed(uuid, row.seq, body)
    }
  }
  if (left === 0) await deps.journal.end(uuid)
  else await deps.journal.stuck(uuid)
  return left
}

async function undo(
  deps: EngineDeps,
  workflow: string,
  step: AnyStep,
  row: StepRow,
  context: StepContext,
): Promise<void> {
  if (typeof step.undo !== 'function') return
  await step.undo(row.input, row.output, context)
  if (deps.observe === undefined) return
  const wish = await deps.observe({ workflow, step: step.name, phase: 'undone' })
  if (wish === 'repeat') await step.undo(row.input, row.output, context)
}
