import { CloudError, describeError, sysErrors, type Task, toErrorBody } from '#kernel'
import type { AnyStep, Flow, Step, StepContext, Workflow } from './define.ts'
import type { EngineDeps } from './engine.ts'
import type { StepRow } from './journal.ts'
import { notJson } from './json-value.ts'
import { rollBack } from './rollback.ts'

/** One execution of a workflow's body. */
export interface Run {
  readonly flow: Flow
  begun(): boolean
  stuck(): boolean
  /** Called when the body has returned. Throws when it left a step running. */
  finish(): void
  /** Takes everything back and returns the error to throw. */
  fail(error: unknown): Promise<CloudError>
}

export interface RunOf {
  readonly uuid: string
  readonly input: unknown
  readonly task?: Task | undefined
  /** The API call it works for; the task's unless said otherwise. */
  readonly taskId?: string | undefined
  /** The steps an earlier process had begun. */
  readonly recorded?: readonly StepRow[]
}

export function createRun(deps: EngineDeps, workflow: Workflow<never, unknown>, of: RunOf): Run {
  const { uuid, task, recorded = [] } = of
  const taskId = of.taskId ?? task?.id
  const context: StepContext = contextOf(deps, uuid, workflow.name, taskId, task?.signal)
  const done: StepRow[] = []
  let previousOutput: unknown
  let current: { readonly name: string; readonly over: Promise<void> } | undefined
  let ended = false
  let stuck = false

  function step<I, O>(definition: Step<I, O>, stepInput: I): Promise<O> {
    const refusal = refusalOf(definition as AnyStep)
    if (refusal !== undefined) return Promise.reject(refusal)
    const result = perform(definition, stepInput)
    const clear = () => {
      current = undefined
    }
    current = { name: definition.name, over: result.then(clear, clear) }
    return result
  }

  function refusalOf(definition: AnyStep): Error | undefined {
    const what = `step ${definition.name} of workflow ${workflow.name}`
    if (!workflow.steps.includes(definition)) return new Error(`${what} is not declared by it`)
    if (ended) return new Error(`${what} began after the workflow had ended`)
    // The journal holds one line of steps, each with the output of the one before.
    if (current !== undefined)
      return new Error(`${what} began while ${current.name} was running; await it first`)
    if (context.signal.aborted) return new CloudError(sysErrors.cancelled, `${workflow.name} was cancelled`)
    return undefined
  }

  async function perform<I, O>(definition: Step<I, O>, stepInput: I): Promise<O> {
    const seq = done.length
    const earlier = recorded[seq]
    if (earlier !== undefined && earlier.name !== definition.name)
      throw new Error(
        `${workflow.name} came to ${definition.name} when resumed, but had begun ${earlier.name}`,
      )
    // The last recorded step may have been cut off: it runs again, as every step tolerates.
    if (earlier !== undefined && seq < recorded.length - 1) {
      done.push(earlier)
      previousOutput = earlier.output
      return earlier.output as O
    }
    if (earlier === undefined) await journal(definition.name, seq, stepInput)
    // What the journal says was begun is what can be taken back, so it is also what runs again.
    const actualInput = earlier === undefined ? stepInput : (earlier.input as I)
    const entry = { seq, name: definition.name, input: actualInput as unknown, output: undefined as unknown }
    done.push(entry)
    task?.progress(Math.min(99, Math.round((seq / workflow.steps.length) * 100)), definition.name)
    const output = await runStep(deps, workflow.name, definition, actualInput, context)
    requireJson(output, workflow.name, `the output of step ${definition.name}`)
    entry.output = output
    previousOutput = output
    return output
  }

  async function journal(name: string, seq: number, input: unknown): Promise<void> {
    requireJson(input, workflow.name, `the input of step ${name}`)
    const record = { seq, name, input, previousOutput }
    if (seq > 0) return deps.journal.step(uuid, record)
    requireJson(of.input, workflow.name, 'its input')
    await deps.journal.begin({ uuid, name: workflow.name, taskId, input: of.input }, record)
  }

  function finish(): void {
    if (current !== undefined) throw new Error(`${workflow.name} ended while ${current.name} was running`)
    ended = true
  }

  async function fail(error: unknown): Promise<CloudError> {
    ended = true
    await current?.over
    const failure = asCloudError(error, workflow.name)
    // A resumed body that failed early has not come by everything that was begun.
    const begun = [...done, ...recorded.slice(done.length)]
    if (begun.length === 0) return failure
    const undoContext = contextOf(deps, uuid, workflow.name, taskId)
    undoContext.log.warn({ err: describeError(error) }, 'workflow rolls back')
    try {
      await deps.journal.rollingBack(uuid, toErrorBody(failure))
    } catch (refusal) {
      // Undone steps of a workflow that is resumed after a crash would be taken for done: first the journal, then the undo.
      undoContext.log.error({ err: describeError(refusal) }, 'the journal of a workflow could not be written')
      stuck = true
      return withUndo(failure, workflow.name, begun.length)
    }
    const left = await rollBack(deps, workflow, uuid, begun, undoContext)
    stuck = left > 0
    return withUndo(failure, workflow.name, left)
  }

  return { flow: { uuid, step }, begun: () => done.length > 0, stuck: () => stuck, finish, fail }
}

function requireJson(value: unknown, workflow: string, what: string): void {
  const problem = notJson(value, what)
  if (problem !== undefined) throw new Error(`workflow ${workflow}: ${problem}, which a journal cannot keep`)
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

export function contextOf(
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

export function withUndo(error: CloudError, workflow: string, left: number): CloudError {
  if (left === 0) return error
  const what = `${left} step${left === 1 ? '' : 's'} of ${workflow} could not be taken back and will be tried again`
  return new CloudError(error, `${error.details} (${what})`, {
    cause: error.cause,
    opaque: { ...error.opaque, stuckSteps: left },
    ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
  })
}
