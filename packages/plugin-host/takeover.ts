import type { Cluster } from '#cluster'
import type { Database } from '#db'
import { CloudError, describeError, type KeyedQueues, type Logger, sysErrors, toErrorBody } from '#kernel'
import type { RecoveredWorkflow, WorkflowEngine, WorkflowRow } from '#workflow'
import type { ApiReply } from './dispatcher.ts'
import type { JobResult, Jobs } from './jobs.ts'

export interface TakeoverDeps {
  readonly db: Database
  readonly cluster: Cluster
  readonly queues: KeyedQueues
  readonly workflows: WorkflowEngine
  readonly jobs: Jobs
  readonly log: Logger
  /** Resolves when every plugin can work. */
  readonly loaded: Promise<void>
}

/** Finishes or takes back what runs of nodes left that are over. */
export interface Takeover {
  /** Puts this node's share into the queues it was in, ahead of all new work; resolves when it is there. */
  begin(): Promise<void>
  /** Resolves when all that was begun has ended, and the jobs have a result. */
  idle(): Promise<void>
  stop(): void
}

const LOOK_AGAIN_MS = 100

export function createTakeover(deps: TakeoverDeps): Takeover {
  const { db, queues, workflows, jobs, log } = deps
  const underWay = new Map<string, Promise<void>>()
  let isStopped = false
  let settling: Promise<void> | undefined

  const recover = async (orphan: WorkflowRow) => {
    const recovered = await workflows.takeOver(orphan, async (tx, last) => {
      if (last.taskId !== undefined) await jobs.settleOrphan(tx, last.taskId, resultOf(last))
    })
    if (recovered === undefined) return
    const { uuid, name, taskId, outcome, error } = recovered
    log.warn(
      { uuid, taskId, outcome, workflow: name, err: error?.details },
      'an unfinished workflow was recovered',
    )
  }
  /** The queues around the one it ran in stay closed as well. */
  const hold = async (uuid: string) => {
    while (!isStopped && (await workflows.isUnsettled(uuid))) await pause()
  }
  const enqueue = (id: string, key: string, label: string, work: () => Promise<void>) => {
    const name = `${id} ${key}`
    if (underWay.has(name)) return
    const done = queues
      .run(key, label, work)
      .catch((error) => log.error({ key, err: describeError(error) }, `${label} failed`))
      .finally(() => underWay.delete(name))
    underWay.set(name, done)
  }
  const settleJobs = async () => {
    while (!isStopped) {
      await Promise.all(underWay.values())
      const left = await jobs.orphans((uuid) => deps.cluster.owns(`job:${uuid}`))
      if (left.length === 0) return
      for (const uuid of left)
        if (!(await workflows.isUnsettledTask(uuid)))
          await db.write((tx) => jobs.settleOrphan(tx, uuid, { error: toErrorBody(forgotten()) }))
      await pause()
    }
  }
  return {
    begin: async () => {
      await deps.loaded
      const { cluster } = deps
      for (const orphan of await workflows.orphans()) {
        const keys = keysOf(orphan)
        const innermost = keys.at(-1)
        for (const key of keys) {
          if (!cluster.owns(key)) continue
          const label = `recovery of ${orphan.name}`
          enqueue(orphan.uuid, key, label, () => (key === innermost ? recover(orphan) : hold(orphan.uuid)))
        }
      }
      settling ??= settleJobs()
        .catch((error) => log.error({ err: describeError(error) }, 'interrupted jobs could not be ended'))
        .finally(() => {
          settling = undefined
        })
    },
    idle: async () => {
      await Promise.all(underWay.values())
      await settling
    },
    stop: () => {
      isStopped = true
    },
  }
}

/** What belongs to one task and was in no queue is recovered in the order in which it would be undone. */
function keysOf({ queueKeys, taskId, uuid }: WorkflowRow): readonly string[] {
  return queueKeys.length > 0 ? queueKeys : [`task:${taskId ?? uuid}`]
}

/** Tells the caller of an interrupted job what became of its work. */
function resultOf(last: RecoveredWorkflow): JobResult {
  if (last.answer !== undefined) return { output: last.answer as ApiReply }
  return { error: toErrorBody(interrupted(last)) }
}

function interrupted({ name, outcome, error }: RecoveredWorkflow): CloudError {
  if (outcome === 'finished')
    return new CloudError(
      sysErrors.operationFailed,
      `the management node stopped during ${name}; it was finished later, and what the call was to do after it, if anything, is missing`,
    )
  const became =
    outcome === 'stuck'
      ? 'it could not be rolled back completely and is tried again'
      : 'everything it had done was rolled back'
  return new CloudError(sysErrors.operationFailed, `the management node stopped during ${name}; ${became}`, {
    cause: error,
  })
}

function forgotten(): CloudError {
  return new CloudError(
    sysErrors.operationFailed,
    'the management node stopped while this call was under way and before its result was recorded; look at the resource and repeat the call if needed',
  )
}

/** What another node recovers shows in the database alone. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS).unref())
}
