import type { Logger } from '#kernel'

/** What a step and its undo may use beside their input. */
export interface StepContext {
  readonly workflowUuid: string
  readonly taskId: string | undefined
  /** Fires when the task is cancelled; never during an undo. */
  readonly signal: AbortSignal
  readonly log: Logger
}

/**
 * One effect and its undo. Laws: inputs and outputs are JSON; `run` and `undo` tolerate a repeat; `undo` also runs for the
 * step that failed or was cut off, then with output `undefined`: it releases by what the input names, not by the output.
 */
export interface Step<I, O> {
  readonly name: string
  run(input: I, context: StepContext): Promise<O>
  readonly undo: ((input: I, output: O | undefined, context: StepContext) => Promise<void>) | NoUndo
}

/** Says why a step needs no undo. */
export interface NoUndo {
  readonly none: string
}

// biome-ignore lint/suspicious/noExplicitAny: a collection of steps of any input and output; each use is typed by its step
export type AnyStep = Step<any, any>

/** Declares a step. */
export function defineStep<I, O>(step: Step<I, O>): Step<I, O> {
  return step
}

/** In place of an undo: nothing has to be taken back, for this reason. */
export function noUndo(reason: string): NoUndo {
  return { none: reason }
}

/** What the body of a workflow is given. */
export interface Flow {
  readonly uuid: string
  step<I, O>(step: Step<I, O>, input: I): Promise<O>
}

/**
 * A change made of steps. The body is an ordinary async function; it does nothing but call steps and compute, so that what
 * the journal holds is all there is to take back.
 */
export interface Workflow<I, O> {
  readonly name: string
  readonly steps: readonly AnyStep[]
  /**
   * After a crash: `rollback` takes everything back; `resume` runs the body again, done steps giving their recorded output. A body
   * that resumes takes the same path for the same outputs, and does not go on after a step that failed.
   */
  readonly afterCrash: 'rollback' | 'resume'
  readonly body: (flow: Flow, input: I) => Promise<O>
}

/** Declares a workflow. Rolls back after a crash unless said otherwise. */
export function defineWorkflow<I, O>(
  name: string,
  steps: readonly AnyStep[],
  body: (flow: Flow, input: I) => Promise<O>,
  options: { readonly afterCrash?: 'rollback' | 'resume' } = {},
): Workflow<I, O> {
  const names = new Set(steps.map((s) => s.name))
  if (names.size !== steps.length) throw new Error(`workflow ${name} has two steps of the same name`)
  return { name, steps, body, afterCrash: options.afterCrash ?? 'rollback' }
}
