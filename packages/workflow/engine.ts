import type { Tx } from '#db'
import {
  CloudError,
  currentTask,
  describeError,
  fromErrorBody,
  type Logger,
  newUuid,
  sysErrors,
  type Task,
  toErrorBody,
} from '#kernel'
import type { AnyStep, Flow, Step, StepContext, Workflow } from './define.ts'
import type { Journal, StepRow, WorkflowRow } from './journal.ts'
import { rollBack } from './rollback.ts'

/** A moment in the life of a workflow, told to the observer: where tests kill, fail or repeat things. */
export interface WorkflowMoment {
  readonly workflow: string
  readonly step: string
  /** journalled: begun on disk, not yet run. ran: the effect is there. undone: taken back. */
  readonly phase: 'journalled' | 'ran' | 'undone'
}

/** Sees every moment; may throw in `journalled` and `ran` to make the step fail, or ask for a repeat. */
export type WorkflowObserver = (moment: WorkflowMoment) => Promise<undefined | 'repeat'> | undefined

export interface RunOptions<O> {
  /** Committed together with the end of the workflow, so that its outcome is recorded exactly when it has one. */
  readonly onFinish?: (tx: Tx, output: O) => Promise<void>
}

export interface WorkflowEngine {
  /** Makes a workflow known, so that it can be recovered. */
  register(workflow: Workflow<never, unknown>): void
  /** Runs a workflow; when it fails, everything is taken back and the error tells so. */
  run<I, O>(workflow: Workflow<I, O>, input: I, options?: RunOptions<O>): Promise<O>
  /** Rolls back or resumes what an earlier process left; returns what was done. Called once, before work is accepted. */
  recover(): Promise<RecoveredWorkflow[]>
  /** Tries the failed undos of stuck workflows again; returns those still stuck. */
  retryStuck(): Promise<WorkflowRow[]>
  /** Forgets a stuck workflow; a person took care of what it left. */
  abandon(workflowUuid: string): Promise<void>
  unfinished(): Promise<WorkflowRow[]>
  readonly registered: ReadonlyMap<string, Workflow<never, unknown>>
}

export interface RecoveredWorkflow {
  readonly uuid: string
  readonly name: string
  readonly taskId: string | undefined
  readonly outcome: 'rolled back' | 'finished' | 'stuck'
  readonly error: CloudError | undefined
}

export interface EngineDeps {
  readonly journal: Journal
  readonly log: Logger
  readonly observe?: WorkflowObserver
}

export function createWorkflowEngine(deps: EngineDeps): WorkflowEngine {
  const registered = new Map<string, Workflow<never, unknown>>()
  const find = (name: string) => registered.get(name)
  return {
    registered,
    register: (workflow) => {
      if (registered.has(workflow.name)) throw new Error(`two workflows are named ${workflow.name}`)
      registered.set(workflow.name, workflow)
    },
    run: (workflow, input, options) => execute(deps, workflow, input, options ?? {}),
    recover: async () => {
      const rows = (await deps.journal.unfinished()).filter((row) => row.state !== 'Stuck')
      const done: RecoveredWorkflow[] = []
      // Newest first: what a workflow started is taken back before the workflow itself.
      for (const row of rows.reverse()) done.push(await recoverOne(deps, find(row.name), row))
      return done
    },
    retryStuck: async () => {
      for (const row of await deps.journal.unfinished()) {
        if (row.state === 'Stuck') await recoverOne(deps, find(row.name), row)
      }
      return (await deps.journal.unfinished()).filter((row) => row.state === 'Stuck')
    },
    abandon: (uuid) => deps.journal.end(uuid),
    unfinished: () => deps.journal.unfinished(),
  }
}

async function execute<I, O>(
  deps: EngineDeps,
  workflow: Workflow<I, O>,
  input: I,
  options: RunOptions<O>,
): Promise<O> {
  const run = createRun(deps, workflow as Workflow<never, unknown>, newUuid(), input, currentTask(), [])
  try {
    const output = await workflow.body(run.flow, input)
    const onFinish = options.onFinish
    const also = onFinish === undefined ? undefined : (tx: Tx) => onFinish(tx, output)
    if (run.begun() || also !== undefined) await deps.journal.end(run.flow.uuid, also)
    return output
  } catch (error) {
    throw await run.fail(error)
  }
}

async function recoverOne(
  deps: EngineDeps,
  workflow: Workflow<never, unknown> | undefined,
  row: WorkflowRow,
): Promise<RecoveredWorkflow> {
  const base = { uuid: row.uuid, name: row.name, taskId: row.taskId }
  const steps = await deps.journal.steps(row.uuid)
  if (workflow === undefined) {
    await deps.journal.stuck(row.uuid)
    const error = new CloudError(
      sysErrors.internal,
      `no plugin knows the workflow ${row.name} that an earlier run left`,
    )
    return { ...base, outcome: 'stuck', error }
  }
  const crash = new CloudError(
    sysErrors.operationFailed,
    `the management node stopped in the middle of ${row.name}`,
  )
  if (row.state === 'Running' && workflow.afterCrash === 'resume') {
    const run = createRun(deps, workflow, row.uuid, row.input, undefined, steps)
    try {
      await workflow.body(run.flow, row.input as never)
      await deps.journal.end(row.uuid)
      return { ...base, outcome: 'finished', error: undefined }
    } catch (error) {
      const failure = await run.fail(error)
      return { ...base, outcome: run.stuck() ? 'stuck' : 'rolled back', error: failure }
    }
  }
  if (row.state === 'Running') await deps.journal.rollingBack(row.uuid, toErrorBody(crash))
  const left = await rollBack(
    deps,
    workflow,
    row.uuid,
    steps,
    contextOf(deps, row.uuid, row.name, row.taskId),
  )
  const cause = row.error === undefined ? crash : fromErrorBody(row.error as never)
  return { ...base, outcome: left === 0 ? 'rolled back' : 'stuck', error: withUndo(cause, row.name, left) }
}

interface Run {
  readonly flow: Flow
  begun(): boolean
  stuck(): boolean
  /** Takes everything back and returns the error to throw. */
  fail(error: unknown): Promise<CloudError>
}

/** One execution of a workflow's body. `recorded` holds the steps an earlier process had begun. */
function createRun(
  deps: EngineDeps,
  workflow: Workflow<never, unknown>,
  uuid: string,
  input: unknown,
  task: Task | undefined,
  recorded: readonly StepRow[],
): Run {
  const context: StepContext = contextOf(deps, uuid, workflow.name, task?.id, task?.signal)
  const done: StepRow[] = []
  let previousOutput: unknown
  let stuck = false

  async function step<I, O>(definition: Step<I, O>, stepInput: I): Promise<O> {
    const seq = done.length
    if (!workflow.steps.includes(definition as AnyStep)) {
      throw new Error(`step ${definition.name} is not declared by workflow ${workflow.name}`)
    }
    if (context.signal.aborted) throw new CloudError(sysErrors.cancelled, `${workflow.name} was cancelled`)
    const earlier = recorded[seq]
    // The last recorded step may have been cut off: it runs again, as every step tolerates.
    const replayed = earlier !== undefined && earlier.name === definition.name && seq < recorded.length - 1
    if (replayed) {
      done.push(earlier)
      previousOutput = earlier.output
      return earlier.output as O
    }
    if (earlier === undefined) {
      const record = { seq, name: definition.name, input: stepInput, previousOutput }
      if (seq === 0)
        await deps.journal.begin({ uuid, name: workflow.name, taskId: context.taskId, input }, record)
      else await deps.journal.step(uuid, record)
    }
    const entry = { seq, name: definition.name, input: stepInput as unknown, output: undefined as unknown }
    done.push(entry)
    task?.progress(Math.min(99, Math.round((seq / workflow.steps.length) * 100)), definition.name)
    const output = await runStep(deps, workflow.name, definition, stepInput, context)
    entry.output = output
    previousOutput = output
    return output
  }

  async function fail(error: unknown): Promise<CloudError> {
    if (done.length === 0) return asCloudError(error, workflow.name)
    const failure = asCloudError(error, workflow.name)
    deps.log.warn(
      { workflow: workflow.name, workflowUuid: uuid, taskId: context.taskId, err: describeError(error) },
      'workflow rolls back',
    )
    await deps.journal.rollingBack(uuid, toErrorBody(failure))
    const left = await rollBack(
      deps,
      workflow,
      uuid,
      done,
      contextOf(deps, uuid, workflow.name, context.taskId),
    )
    stuck = left > 0
    return withUndo(failure, workflow.name, left)
  }

  return { flow: { uuid, step }, begun: () => done.length > 0, stuck: () => stuck, fail }
}

async function runStep<I, O>(
  deps: EngineDeps,
  workflow: string,
  step: Step<I, O>,
  input: I,
  context: StepContext,
): Promise<O> {
  if (deps.observe === undefined) return step.run(input, context)
  await deps.observe({ workflow, step: step.name, phase: 'journalled' })
  let output = await step.run(input, context)
  const wish = await deps.observe({ workflow, step: step.name, phase: 'ran' })
  if (wish === 'repeat') output = await step.run(input, context)
  return output
}

function contextOf(
  deps: EngineDeps,
  workflowUuid: string,
  workflow: string,
  taskId: string | undefined,
  signal: AbortSignal = new AbortController().signal,
): StepContext {
  return { workflowUuid, taskId, signal, log: deps.log.child({ workflow, workflowUuid, taskId }) }
}

function asCloudError(error: unknown, workflow: string): CloudError {
  if (error instanceof CloudError) return error
  return new CloudError(sysErrors.internal, `${workflow} failed: ${describeError(error)}`, { cause: error })
}

function withUndo(error: CloudError, workflow: string, left: number): CloudError {
  if (left === 0) return error
  const what = `${left} step${left === 1 ? '' : 's'} of ${workflow} could not be taken back and will be tried again`
  return new CloudError(error, `${error.details} (${what})`, {
    cause: error.cause,
    opaque: { ...error.opaque, stuckSteps: left },
  })
}
