import { CloudError, currentTask, describeError, toErrorBody, withTask } from '#kernel'
import type { AnyStep, StepContext, Workflow } from './define.ts'
import type { EngineDeps } from './engine.ts'
import type { StepRow } from './journal.ts'

/**
 * Undoes `steps` in reverse. An undo that throws is recorded and the others still run; the workflow is then left `Stuck`, to be
 * tried again. Returns how many could not be undone. Rollback ignores cancellation. A journal that cannot be written stops
 * nothing: what is not recorded as undone is undone again later, which every undo tolerates.
 */
export async function rollBack(
  deps: EngineDeps,
  workflow: Workflow<never, unknown>,
  uuid: string,
  steps: readonly StepRow[],
  context: StepContext,
): Promise<number> {
  return shielded(context.signal, async () => {
    let left = 0
    for (const row of [...steps].reverse()) {
      if (!(await undoOne(deps, workflow, uuid, row, context))) left += 1
    }
    const recorded = await record(context, 'the end of a rollback', () =>
      left === 0 ? deps.journal.end(uuid) : deps.journal.stuck(uuid),
    )
    return recorded ? left : Math.max(left, 1)
  })
}

async function undoOne(
  deps: EngineDeps,
  workflow: Workflow<never, unknown>,
  uuid: string,
  row: StepRow,
  context: StepContext,
): Promise<boolean> {
  const step = workflow.steps.find((s) => s.name === row.name)
  try {
    if (step === undefined) throw new Error(`workflow ${workflow.name} has no step ${row.name} any more`)
    await undo(deps, workflow.name, step, row, context)
  } catch (error) {
    const body = error instanceof CloudError ? toErrorBody(error) : { details: describeError(error) }
    context.log.error({ step: row.name, err: describeError(error) }, 'a step could not be undone')
    await record(context, 'a failed undo', () => deps.journal.undoFailed(uuid, row.seq, body))
    return false
  }
  return record(context, 'an undo', () => deps.journal.undone(uuid, row.seq))
}

async function record(context: StepContext, what: string, write: () => Promise<void>): Promise<boolean> {
  try {
    await write()
    return true
  } catch (error) {
    context.log.error({ what, err: describeError(error) }, 'the journal of a workflow could not be written')
    return false
  }
}

/** Runs `work` for the same task, but nothing it calls sees that the task was cancelled. */
function shielded<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const task = currentTask()
  if (task === undefined) return work()
  const { id, name } = task
  return withTask({ id, name, signal, progress: (percent, message) => task.progress(percent, message) }, work)
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
