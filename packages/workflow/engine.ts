import type { Tx } from '#db'
import { CloudError, currentTask, type Logger, newOrderedUuid, sysErrors, withTask } from '#kernel'
import type { Workflow } from './define.ts'
import { type Journal, type WorkflowRow, workflowState } from './journal.ts'
import { type OnTaskEnd, type RecoveredWorkflow, type RecoverOptions, recoverOne } from './recovery.ts'
import { createRun } from './run.ts'

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
  /**
   * Committed together with the end of the workflow, so that its outcome is recorded exactly when it has one. The output is JSON, and
   * the answer of the API call: should another run finish the workflow, it is given to `onTaskEnd` there.
   */
  readonly onFinish?: (tx: Tx, output: O) => Promise<void>
}

export interface WorkflowEngine {
  /** Makes a workflow known, so that it can be recovered. */
  register(workflow: Workflow<never, unknown>): void
  /** Runs a workflow; when it fails, everything is taken back and the error tells so. */
  run<I, O>(workflow: Workflow<I, O>, input: I, options?: RunOptions<O>): Promise<O>
  /** What runs of nodes left that are over, newest first: what a workflow started comes before the workflow itself. */
  orphans(): Promise<WorkflowRow[]>
  /**
   * Rolls an orphan back, or resumes it, as this run's own. One that is stuck is only made this run's, to be tried again. Returns
   * undefined when another node was faster. The caller is in the queues the workflow was in. `onTaskEnd` is committed with the end of
   * the last workflow of its task.
   */
  takeOver(orphan: WorkflowRow, onTaskEnd?: OnTaskEnd): Promise<RecoveredWorkflow | undefined>
  /**
   * Takes back what is left of every workflow nobody works on any more, each in its turn, those of one task newest first; returns those
   * of which something is still left.
   */
  retryStuck(): Promise<WorkflowRow[]>
  /**
   * Takes back what is left of one workflow nobody works on any more; joins a try of it that is under way. Throws SYS.1003 when
   * there is none, SYS.1006 while it runs.
   */
  retry(workflowUuid: string): Promise<RecoveredWorkflow>
  /** Forgets a stuck workflow; a person took care of what it left. Refuses one that does not exist or is being worked on. */
  abandon(workflowUuid: string): Promise<void>
  unfinished(): Promise<WorkflowRow[]>
  /** Whether a workflow of any node is still to be finished or taken back; one that is stuck waits for something else. */
  isUnsettled(workflowUuid: string): Promise<boolean>
  /** Whether a task has such a workflow. */
  isUnsettledTask(taskId: string): Promise<boolean>
  readonly registered: ReadonlyMap<string, Workflow<never, unknown>>
}

export interface EngineDeps {
  readonly journal: Journal
  readonly log: Logger
  /** Whether a run of a node still works. Only this one when absent. */
  readonly isAlive?: (nodeUuid: string, incarnation: number) => boolean
  readonly observe?: WorkflowObserver
  /** Runs `work` when it is the turn of a stuck workflow in the queue it ran in. At once when absent. */
  readonly inTurn?: (row: WorkflowRow, work: () => Promise<void>) => Promise<void>
}

export function createWorkflowEngine(deps: EngineDeps): WorkflowEngine {
  const registered = new Map<string, Workflow<never, unknown>>()
  // What this process works on right now; everything else in the journal was left by a crash or is stuck.
  const live = new Set<string>()
  const { journal } = deps
  const isMine = (nodeUuid: string, incarnation: number) =>
    nodeUuid === journal.owner.nodeUuid && incarnation === journal.owner.incarnation
  const idle = async () =>
    (await journal.unfinished()).filter((row) => isMine(row.nodeUuid, row.incarnation) && !live.has(row.uuid))
  const recovering = new Map<string, Promise<RecoveredWorkflow | undefined>>()
  const recover = (row: WorkflowRow, options: RecoverOptions) => {
    const work = () => recoverOne(deps, registered.get(row.name), row, options)
    return whileLive(live, row.uuid, () => asTaskOf(row, work))
  }
  const inTurn = deps.inTurn ?? ((_row, work) => work())
  /** Its caller was told that it failed, so it is never resumed. Undefined when it is gone before its turn has come. */
  const again = (row: WorkflowRow) => {
    const { uuid } = row
    const underWay = recovering.get(uuid)
    if (underWay !== undefined) return underWay
    const one = (async () => {
      let recovered: RecoveredWorkflow | undefined
      await inTurn(row, async () => {
        const left = (await journal.unfinished()).find((r) => r.uuid === uuid)
        if (left !== undefined) recovered = await recover(left, { mayResume: false })
      })
      return recovered
    })().finally(() => recovering.delete(uuid))
    recovering.set(uuid, one)
    return one
  }
  return {
    registered,
    register: (workflow) => {
      if (registered.has(workflow.name)) throw new Error(`two workflows are named ${workflow.name}`)
      registered.set(workflow.name, workflow)
    },
    run: (workflow, input, options) => {
      const uuid = newOrderedUuid()
      return whileLive(live, uuid, () => execute(deps, workflow, uuid, input, options ?? {}))
    },
    orphans: async () => (await journal.orphans(deps.isAlive ?? isMine)).reverse(),
    takeOver: async (orphan, onTaskEnd) => {
      if (!(await journal.claim(orphan)) || orphan.state === workflowState.stuck) return undefined
      return recover(orphan, { mayResume: true, onTaskEnd })
    },
    retryStuck: async () => {
      const tasks = Map.groupBy((await idle()).reverse(), ({ taskId, uuid }) => taskId ?? uuid)
      const retries = [...tasks.values()].map(async (rows) => {
        for (const row of rows) if (!live.has(row.uuid)) await again(row)
      })
      await settled(retries)
      return idle()
    },
    retry: async (uuid) => {
      const row = await unfinishedOne(deps.journal, uuid)
      if (live.has(uuid) && !recovering.has(uuid)) throw beingWorkedOn(row, 'retried')
      const recovered = await again(row)
      if (recovered === undefined) throw noneSuch(uuid)
      return recovered
    },
    abandon: async (uuid) => {
      const row = await unfinishedOne(deps.journal, uuid)
      if (live.has(uuid)) throw beingWorkedOn(row, 'abandoned')
      await deps.journal.end(uuid)
    },
    unfinished: () => journal.unfinished(),
    isUnsettled: (uuid) => journal.isUnsettled({ uuid }),
    isUnsettledTask: (taskId) => journal.isUnsettled({ taskId }),
  }
}

async function unfinishedOne(journal: Journal, uuid: string): Promise<WorkflowRow> {
  const row = (await journal.unfinished()).find((r) => r.uuid === uuid)
  if (row !== undefined) return row
  throw noneSuch(uuid)
}

function noneSuch(uuid: string): CloudError {
  return new CloudError(sysErrors.resourceNotFound, `there is no unfinished workflow ${uuid}`)
}

/** Waits for all, then throws what the first that failed threw. */
async function settled(works: readonly Promise<void>[]): Promise<void> {
  for (const end of await Promise.allSettled(works)) if (end.status === 'rejected') throw end.reason
}

function beingWorkedOn(row: WorkflowRow, what: string): CloudError {
  const details = `${row.name} ${row.uuid} is being worked on; only a stuck workflow can be ${what}`
  return new CloudError(sysErrors.operationFailed, details)
}

/** Logs and agents are to name the API call whose work is taken up, not the one that asked for it now, and not nobody. */
function asTaskOf<T>({ taskId, name }: WorkflowRow, work: () => Promise<T>): Promise<T> {
  if (taskId === undefined) return work()
  const { signal } = new AbortController()
  return withTask({ id: taskId, name, signal, progress: () => {} }, work)
}

async function whileLive<T>(live: Set<string>, uuid: string, work: () => Promise<T>): Promise<T> {
  live.add(uuid)
  try {
    return await work()
  } finally {
    live.delete(uuid)
  }
}

async function execute<I, O>(
  deps: EngineDeps,
  workflow: Workflow<I, O>,
  uuid: string,
  input: I,
  options: RunOptions<O>,
): Promise<O> {
  const { onFinish } = options
  const answers = onFinish !== undefined
  const run = createRun(deps, workflow as Workflow<never, unknown>, {
    ...{ uuid, input, answers, task: currentTask() },
  })
  try {
    const output = await workflow.body(run.flow, input)
    run.finish()
    const also = onFinish === undefined ? undefined : (tx: Tx) => onFinish(tx, output)
    if (run.begun() || also !== undefined) await deps.journal.end(uuid, also)
    return output
  } catch (error) {
    throw await run.fail(error)
  }
}
