import type { Tx } from '#db'
import { CloudError, currentTask, describeError, toErrorBody, withoutDeadline, withTask } from '#kernel'
import type { AnyStep, StepContext, Workflow } from './define.ts'
import type { EngineDeps } from './engine.ts'
import type { StepRow } from './journal.ts'

/**
 * Undoes `steps` in reverse. At an undo that throws it stops: the steps before it are what that one was built on, and without
 * their rows a later try would not know what to remove. The workflow is then left `Stuck`, to be tried again from there.
 * Returns how many are not undone; `onEnd` is told, too, and committed with how it ended. Rollback ignores cancellation. A journal that cannot be written stops nothing: what is not recorded as undone is undone again later, which every undo tolerates.
 */
export async function rollBack(
  deps: EngineDeps,
  workflow: Workflow<never, unknown>,
  uuid: string,
  steps: readonly StepRow[],
  context: StepContext,
  onEnd?: (tx: Tx, left: number) => Promise<void>,
): Promise<number> {
  return shielded(context.signal, async () => {
    let left = 0
    for (const [done, row] of [...steps].reverse().entries()) {
      const outcome = await undoOne(deps, workflow, uuid, row, context)
      if (outcome === 'undone') continue
      if (outcome === 'not recorded') left += 1
      else {
        left += steps.length - done
        break
      }
    }
    const also = onEnd && ((tx: Tx) => onEnd(tx, left))
    const recorded = await record(context, 'the end of a rollback', () =>
      left === 0 ? deps.journal.end(uuid, also) : deps.journal.stuck(uuid, also),
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
): Promise<'undone' | 'not recorded' | 'failed'> {
  const step = workflow.steps.find((s) => s.name === row.name)
  try {
    if (step === undefined) throw new Error(`workflow ${workflow.name} has no step ${row.name} any more`)
    await undo(deps, workflow.name, step, row, context)
  } catch (error) {
    const body = error instanceof CloudError ? toErrorBody(error) : { details: describeError(error) }
    context.log.error({ step: row.name, err: describeError(error) }, 'a step could not be undone')
    await record(context, 'a failed undo', () => deps.journal.undoFailed(uuid, row.seq, body))
    return 'failed'
  }
  const isRecorded = await record(context, 'an undo', () => deps.journal.undone(uuid, row.seq))
  return isRecorded ? 'undone' : 'not recorded'
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

/** Runs `work` for the same task, but nothing it calls sees that the task was cancelled or that nobody waits for it any more. */
function shielded<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const task = currentTask()
  if (task === undefined) return withoutDeadline(work)
  const { id, name } = task
  const progress = (percent: number | undefined, message: string) => task.progress(percent, message)
  return withTask({ id, name, signal, progress }, () => withoutDeadline(work))
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
