import type { Tx } from '#db'
import { CloudError, describeError, heldKeys, sysErrors, type Task, toErrorBody } from '#kernel'
import type { AnyStep, Flow, Step, StepContext, Workflow } from './define.ts'
import type { EngineDeps } from './engine.ts'
import type { StepRow } from './journal.ts'
import { notJson } from './json-value.ts'
import { rollBack } from './rollback.ts'

/** `failure` is what `fail` returns, `left` how many steps are not undone. */
export type OnFailed = (tx: Tx, failure: CloudError, left: number) => Promise<void>

/** One execution of a workflow's body. */
export interface Run {
  readonly flow: Flow
  begun(): boolean
  stuck(): boolean
  /** Called when the body has returned. Throws when it left a step running. */
  finish(): void
  /** Takes everything back and returns the error to throw; `onEnd` is committed with the end of that, when there was something. */
  fail(error: unknown, onEnd?: OnFailed): Promise<CloudError>
}

export interface RunOf {
  readonly uuid: string
  readonly input: unknown
  readonly task?: Task | undefined
  /** The API call it works for; the task's unless said otherwise. */
  readonly taskId?: string | undefined
  /** What it returns is the answer of that call. */
  readonly answers?: boolean
  /** The steps an earlier process had begun. */
  readonly recorded?: readonly StepRow[]
}

/** Guards the order of a body's steps and remembers what has to be taken back. */
class WorkflowRun implements Run {
  readonly flow: Flow
  readonly #deps: EngineDeps
  readonly #workflow: Workflow<never, unknown>
  readonly #of: RunOf
  readonly #recorded: readonly StepRow[]
  readonly #context: StepContext
  readonly #done: StepRow[] = []
  #previousOutput: unknown
  #current: { readonly name: string; readonly over: Promise<void> } | undefined
  #ended = false
  #stuck = false

  constructor(deps: EngineDeps, workflow: Workflow<never, unknown>, of: RunOf) {
    this.#deps = deps
    this.#workflow = workflow
    this.#of = of
    this.#recorded = of.recorded ?? []
    this.#context = this.#newContext(of.task?.signal)
    this.flow = { uuid: of.uuid, step: (definition, input) => this.#step(definition, input) }
  }

  begun(): boolean {
    return this.#done.length > 0
  }

  stuck(): boolean {
    return this.#stuck
  }

  finish(): void {
    const current = this.#current
    if (current !== undefined)
      throw new Error(`${this.#workflow.name} ended while ${current.name} was running`)
    this.#ended = true
  }

  async fail(error: unknown, onEnd?: OnFailed): Promise<CloudError> {
    this.#ended = true
    await this.#current?.over
    const { name } = this.#workflow
    const plain = asCloudError(error, name)
    // A resumed body that failed early has not come by everything that was begun.
    const begun = [...this.#done, ...this.#recorded.slice(this.#done.length)]
    if (begun.length === 0) return plain
    const failure = inStep(plain, name, this.#done.at(-1)?.name)
    const context = this.#newContext()
    context.log.warn({ err: describeError(error) }, 'workflow rolls back')
    try {
      await this.#deps.journal.rollingBack(this.#of.uuid, toErrorBody(failure))
    } catch (refusal) {
      // Undone steps of a workflow that is resumed after a crash would be taken for done: first the journal, then the undo.
      context.log.error({ err: describeError(refusal) }, 'the journal of a workflow could not be written')
      this.#stuck = true
      return withUndo(failure, name, begun.length)
    }
    const also = onEnd && ((tx: Tx, left: number) => onEnd(tx, withUndo(failure, name, left), left))
    const left = await rollBack(this.#deps, this.#workflow, this.#of.uuid, begun, context, also)
    this.#stuck = left > 0
    return withUndo(failure, name, left)
  }

  #step<I, O>(definition: Step<I, O>, input: I): Promise<O> {
    const refusal = this.#refusalOf(definition as AnyStep)
    if (refusal !== undefined) return Promise.reject(refusal)
    const result = this.#perform(definition, input)
    const clear = () => {
      this.#current = undefined
    }
    this.#current = { name: definition.name, over: result.then(clear, clear) }
    return result
  }

  #refusalOf(definition: AnyStep): Error | undefined {
    const { name, steps } = this.#workflow
    const what = `step ${definition.name} of workflow ${name}`
    if (!steps.includes(definition)) return new Error(`${what} is not declared by it`)
    if (this.#ended) return new Error(`${what} began after the workflow had ended`)
    // The journal holds one line of steps, each with the output of the one before.
    if (this.#current !== undefined)
      return new Error(`${what} began while ${this.#current.name} was running; await it first`)
    if (this.#context.signal.aborted) return new CloudError(sysErrors.cancelled, `${name} was cancelled`)
    return undefined
  }

  async #perform<I, O>(definition: Step<I, O>, input: I): Promise<O> {
    const { name, steps } = this.#workflow
    const seq = this.#done.length
    const earlier = this.#recorded[seq]
    if (earlier !== undefined && earlier.name !== definition.name)
      throw new Error(`${name} came to ${definition.name} when resumed, but had begun ${earlier.name}`)
    // The last recorded step may have been cut off: it runs again, as every step tolerates.
    if (earlier !== undefined && seq < this.#recorded.length - 1) {
      this.#done.push(earlier)
      this.#previousOutput = earlier.output
      return earlier.output as O
    }
    if (earlier === undefined) await this.#journal(definition.name, seq, input)
    // What the journal says was begun is what can be taken back, so it is also what runs again.
    const actual = earlier === undefined ? input : (earlier.input as I)
    const entry = { seq, name: definition.name, input: actual as unknown, output: undefined as unknown }
    this.#done.push(entry)
    this.#of.task?.progress(Math.min(99, Math.round((seq / steps.length) * 100)), definition.name)
    const output = await runStep(this.#deps, name, definition, actual, this.#context)
    requireJson(output, name, `the output of step ${definition.name}`)
    entry.output = output
    this.#previousOutput = output
    return output
  }

  async #journal(step: string, seq: number, input: unknown): Promise<void> {
    const { name } = this.#workflow
    const { uuid, answers = false } = this.#of
    requireJson(input, name, `the input of step ${step}`)
    const record = { seq, name: step, input, previousOutput: this.#previousOutput }
    if (seq > 0) return this.#deps.journal.step(uuid, record)
    requireJson(this.#of.input, name, 'its input')
    const workflow = { uuid, name, taskId: this.#taskId(), queueKeys: heldKeys(), input: this.#of.input }
    await this.#deps.journal.begin({ ...workflow, answers }, record)
  }

  #taskId(): string | undefined {
    return this.#of.taskId ?? this.#of.task?.id
  }

  #newContext(signal?: AbortSignal): StepContext {
    return contextOf(this.#deps, this.#of.uuid, this.#workflow.name, this.#taskId(), signal)
  }
}

export function createRun(deps: EngineDeps, workflow: Workflow<never, unknown>, of: RunOf): Run {
  return new WorkflowRun(deps, workflow, of)
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
  return { workflowUuid, taskId, signal, log: deps.log.child({ workflow, workflowUuid }) }
}

function asCloudError(error: unknown, workflow: string): CloudError {
  if (error instanceof CloudError) return error
  return new CloudError(sysErrors.internal, `${workflow} failed: ${describeError(error)}`, { cause: error })
}

/** Says at which step it failed: with cause and host, what a person needs to look in the right place. */
function inStep(error: CloudError, workflow: string, step: string | undefined): CloudError {
  if (step === undefined) return error
  return withDetails(error, `at step ${step} of ${workflow}`, { step, workflow })
}

export function withUndo(error: CloudError, workflow: string, left: number): CloudError {
  if (left === 0) return error
  const what = `${left} step${left === 1 ? '' : 's'} of ${workflow} could not be taken back and will be tried again`
  return withDetails(error, what, { stuckSteps: left })
}

function withDetails(error: CloudError, more: string, opaque: Readonly<Record<string, unknown>>): CloudError {
  return new CloudError(error, `${error.details} (${more})`, {
    cause: error.cause,
    opaque: { ...error.opaque, ...opaque },
    ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
  })
}
