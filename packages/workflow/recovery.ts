import type { Tx } from '#db'
import { CloudError, fromErrorBody, sysErrors, toErrorBody } from '#kernel'
import type { Workflow } from './define.ts'
import type { EngineDeps } from './engine.ts'
import { type StepRow, type WorkflowRow, workflowState } from './journal.ts'
import { rollBack } from './rollback.ts'
import { contextOf, createRun, withUndo } from './run.ts'

/** What became of a workflow that a run of a node left. */
export interface RecoveredWorkflow {
  readonly uuid: string
  readonly name: string
  readonly taskId: string | undefined
  readonly outcome: 'rolled back' | 'finished' | 'stuck'
  readonly error: CloudError | undefined
  /** What its API call is to be answered with: it was finished, and all that the call asked for. */
  readonly answer?: unknown
}

/** `last` is the last workflow of its task; its outcome is `stuck` when that of any of them is. */
export type OnTaskEnd = (tx: Tx, last: RecoveredWorkflow) => Promise<void>

export interface RecoverOptions {
  /** Not when its caller was told that it failed. */
  readonly mayResume: boolean
  readonly onTaskEnd?: OnTaskEnd | undefined
}

/** A workflow nobody works on any more, while it is brought to an end. */
interface Left {
  readonly deps: EngineDeps
  readonly workflow: Workflow<never, unknown>
  readonly row: WorkflowRow
  readonly steps: readonly StepRow[]
  readonly end: (tx: Tx, recovered: RecoveredWorkflow) => Promise<void>
}

/** Finishes or takes back what an earlier run began. */
export async function recoverOne(
  deps: EngineDeps,
  workflow: Workflow<never, unknown> | undefined,
  row: WorkflowRow,
  { mayResume, onTaskEnd }: RecoverOptions,
): Promise<RecoveredWorkflow> {
  const end = (tx: Tx, recovered: RecoveredWorkflow) => endTask(deps, tx, recovered, onTaskEnd)
  if (workflow === undefined) {
    const details = `no plugin knows the workflow ${row.name} that an earlier run left`
    const recovered = endOf(row, 'stuck', new CloudError(sysErrors.internal, details))
    await deps.journal.stuck(row.uuid, (tx) => end(tx, recovered))
    return recovered
  }
  const left = { deps, workflow, row, steps: await deps.journal.steps(row.uuid), end }
  const isResumed = row.state === workflowState.running && workflow.afterCrash === 'resume' && mayResume
  return isResumed ? resume(left) : takeBack(left)
}

async function resume({ deps, workflow, row, steps, end }: Left): Promise<RecoveredWorkflow> {
  const { uuid, input, taskId } = row
  const run = createRun(deps, workflow, { uuid, input, taskId, recorded: steps })
  try {
    const answer = await workflow.body(run.flow, input as never)
    run.finish()
    const finished = { ...endOf(row, 'finished'), ...(row.answers ? { answer } : {}) }
    await deps.journal.end(uuid, (tx) => end(tx, finished))
    return finished
  } catch (error) {
    const failure = await run.fail(error, (tx, reason, left) => end(tx, undoneOf(row, reason, left)))
    return endOf(row, run.stuck() ? 'stuck' : 'rolled back', failure)
  }
}

async function takeBack({ deps, workflow, row, steps, end }: Left): Promise<RecoveredWorkflow> {
  const { uuid, name, taskId } = row
  const crash = new CloudError(
    sysErrors.operationFailed,
    `the management node stopped in the middle of ${name}`,
  )
  if (row.state === workflowState.running) await deps.journal.rollingBack(uuid, toErrorBody(crash))
  const cause = row.error === undefined ? crash : fromErrorBody(row.error as never)
  const endOfLeft = (left: number) => undoneOf(row, withUndo(cause, name, left), left)
  const context = contextOf(deps, uuid, name, taskId)
  const left = await rollBack(deps, workflow, uuid, steps, context, (tx, n) => end(tx, endOfLeft(n)))
  return endOfLeft(left)
}

function undoneOf(row: WorkflowRow, error: CloudError, left: number): RecoveredWorkflow {
  return endOf(row, left === 0 ? 'rolled back' : 'stuck', error)
}

function endOf(
  { uuid, name, taskId }: WorkflowRow,
  outcome: RecoveredWorkflow['outcome'],
  error?: CloudError,
): RecoveredWorkflow {
  return { uuid, name, taskId, outcome, error }
}

/** What a workflow began for the same task is recovered before it, on whatever node: the last one speaks for all. */
async function endTask(
  { journal }: EngineDeps,
  tx: Tx,
  recovered: RecoveredWorkflow,
  onTaskEnd: OnTaskEnd | undefined,
): Promise<void> {
  if (onTaskEnd === undefined || recovered.taskId === undefined) return
  const left = await journal.statesOfTask(tx, recovered.taskId)
  if (left.some((state) => state !== workflowState.stuck)) return
  await onTaskEnd(tx, left.length === 0 ? recovered : { ...recovered, outcome: 'stuck', answer: undefined })
}
