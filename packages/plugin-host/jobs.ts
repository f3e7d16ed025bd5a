import { setTimeout } from 'node:timers/promises'
import { defineResource, type Infer, long, optional, text, timestamp } from '#contract'
import {
  type Database,
  find,
  findOne,
  insert,
  lessThan,
  type Migration,
  remove,
  type Tx,
  UniqueConflict,
  update,
} from '#db'
import { CloudError, type ErrorBody, steadyNow, sysErrors } from '#kernel'
import type { Owner } from '#workflow'

/** What became of an asynchronous API call. */
export type JobResult = { readonly output: Readonly<Record<string, unknown>> } | { readonly error: ErrorBody }

/** An asynchronous API call: its result outlives the process. */
export const jobRecord = defineResource({
  name: 'Job',
  className: 'org.zstack.core.job.JobInventory',
  fields: {
    uuid: text('Id of the call; what clients poll.'),
    apiName: text('Name of the API.'),
    accountUuid: text('On whose behalf.'),
    nodeUuid: text('Management node that runs it.'),
    incarnation: optional(long('The run of that node.')),
    state: text('Processing or Done.'),
    result: optional(text('JSON of the result.')),
    createDate: timestamp('When it was accepted.'),
    finishDate: optional(timestamp('When it ended.')),
  },
})

export const jobMigration: Migration = {
  id: '0002-job',
  create: [
    {
      name: 'JobVO',
      columns: {
        uuid: 'uuid',
        apiName: 'word',
        accountUuid: 'uuid',
        nodeUuid: 'uuid',
        state: 'word',
        result: 'json?',
        createDate: 'time',
        finishDate: 'time?',
      },
      primaryKey: ['uuid'],
      indexes: [['createDate'], ['state']],
    },
  ],
}

export const jobOwnerMigration: Migration = {
  id: '0031-job-owner',
  addColumns: { JobVO: { incarnation: 'long?' } },
}

export interface JobStatus {
  readonly state: 'Processing' | 'Done'
  readonly apiName: string
  readonly createDate: number
  readonly finishDate: number | undefined
  readonly result: JobResult | undefined
  /** Node that runs or ran it. */
  readonly nodeUuid?: string | undefined
}

/** One line of what a task says about itself. */
export interface ProgressEntry {
  readonly percent: number | undefined
  readonly message: string
  readonly time: number
}

export interface Jobs {
  /** Records that a call was accepted. Throws SYS.1007 when the client's id is taken. */
  accept(job: { uuid: string; apiName: string; accountUuid: string }): Promise<void>
  /** Records the result inside `tx`; the caller announces it after the commit. */
  record(tx: Tx, uuid: string, result: JobResult): Promise<void>
  /** Keeps a result that the database could not take, until `recordLeft` brings it there. */
  recordLater(uuid: string, result: JobResult): void
  recordLeft(): Promise<void>
  /** Makes the result known to those who wait in this process. */
  announce(uuid: string, result: JobResult): void
  /** The end of a call that failed before it was accepted, or whose result could not be stored: pollable for a while, in memory only. */
  keep(uuid: string, apiName: string, result: JobResult): void
  status(uuid: string): Promise<JobStatus | undefined>
  /** Resolves when the job ends, on whatever node. Rejects when there is none with this uuid. */
  done(uuid: string): Promise<JobResult>
  progress(uuid: string, entry: ProgressEntry): void
  progressOf(
    uuid: string,
  ): { readonly apiName: string; readonly entries: readonly ProgressEntry[] } | undefined
  /** Resolves when no job runs any more, or after `timeoutMs`. */
  idle(timeoutMs: number): Promise<void>
  running(): readonly { uuid: string; apiName: string; createDate: number }[]
  /** Jobs of runs of nodes that are over, without a result; those that `isOurs` says are this node's to end. */
  orphans(isOurs: (uuid: string) => boolean): Promise<string[]>
  /** Ends a job whose node is gone, inside `tx`, unless it has a result by now. */
  settleOrphan(tx: Tx, uuid: string, result: JobResult): Promise<void>
  purge(olderThanMs: number): Promise<number>
}

interface Live {
  readonly apiName: string
  readonly createDate: number
  readonly entries: ProgressEntry[]
  readonly waiters: ((result: JobResult) => void)[]
}

// Ends that are in memory only; the oldest go first.
const MAX_KEPT = 2_000
const MAX_PROGRESS_ENTRIES = 200

export interface JobsDeps {
  readonly db: Database
  /** Read whenever a job is accepted. */
  readonly owner: Owner
  /** Whether a run of a node still works; only this one when absent. */
  readonly isAlive?: (nodeUuid: string, incarnation: number) => boolean
  /** Waits for the end of a job on another node. */
  readonly askNode?: (nodeUuid: string, jobUuid: string) => Promise<JobResult>
}

// Of jobs accepted by a version that did not tell runs apart.
const UNKNOWN_RUN = -1
// A job whose node has just died gets its result when another has taken its work over.
const LOOK_AGAIN_MS = 200

export function createJobs(deps: JobsDeps): Jobs {
  const { db, owner } = deps
  const isAlive =
    deps.isAlive ?? ((nodeUuid, run) => nodeUuid === owner.nodeUuid && run === owner.incarnation)
  const isOrphan = (job: Infer<typeof jobRecord.fields>) =>
    !isAlive(job.nodeUuid, job.incarnation ?? UNKNOWN_RUN)
  const live = new Map<string, Live>()
  const kept = new Map<string, JobStatus>()
  return {
    ...createRecorder(db),
    accept: async ({ uuid, apiName, accountUuid }) => {
      // Also guards the entry of a running job, whose waiters would be lost.
      if (live.has(uuid)) throw taken(uuid)
      const createDate = steadyNow()
      live.set(uuid, { apiName, createDate, entries: [], waiters: [] })
      try {
        const { nodeUuid, incarnation } = owner
        const row = { uuid, apiName, accountUuid, nodeUuid, incarnation, state: 'Processing', createDate }
        await db.write((tx) => insert(tx, jobRecord, row))
      } catch (error) {
        live.delete(uuid)
        throw error instanceof UniqueConflict ? taken(uuid) : error
      }
    },
    announce: (uuid, result) => {
      const job = live.get(uuid)
      live.delete(uuid)
      for (const waiter of job?.waiters ?? []) waiter(result)
    },
    keep: (uuid, apiName, result) => {
      const now = Date.now()
      kept.set(uuid, { state: 'Done', apiName, createDate: now, finishDate: now, result })
      if (kept.size > MAX_KEPT) for (const oldest of kept.keys()) return void kept.delete(oldest)
    },
    status: async (uuid) => {
      const job = live.get(uuid)
      if (job !== undefined)
        return { state: 'Processing', ...pick(job), finishDate: undefined, result: undefined }
      const row = stored(await findOne(db, jobRecord, { uuid }))
      // What is stored goes first: anybody may have a call refused under the uuid of another's job.
      return row?.state === 'Done' ? row : (kept.get(uuid) ?? row)
    },
    done: (uuid) => {
      const job = live.get(uuid)
      if (job !== undefined) return new Promise((resolve) => job.waiters.push(resolve))
      return doneElsewhere(deps, uuid)
    },
    progress: (uuid, entry) => {
      const entries = live.get(uuid)?.entries
      if (entries === undefined) return
      if (entries.length >= MAX_PROGRESS_ENTRIES) entries.shift()
      entries.push(entry)
    },
    progressOf: (uuid) => live.get(uuid),
    idle: (timeoutMs) => waitForEnds([...live.values()], timeoutMs),
    running: () => [...live].map(([uuid, job]) => ({ uuid, ...pick(job) })),
    orphans: async (isOurs) => {
      const jobs = await find(db, jobRecord, { state: 'Processing' })
      return jobs.filter((job) => isOurs(job.uuid) && isOrphan(job)).map((job) => job.uuid)
    },
    settleOrphan: async (tx, uuid, result) => {
      const job = await findOne(tx, jobRecord, { uuid, state: 'Processing' })
      if (job !== undefined && isOrphan(job)) await record(tx, uuid, result)
    },
    purge: (olderThanMs) =>
      db.write((tx) =>
        remove(tx, jobRecord, { state: 'Done', createDate: lessThan(steadyNow() - olderThanMs) }),
      ),
  }
}

async function record(tx: Tx, uuid: string, result: JobResult): Promise<void> {
  const patch = { state: 'Done', result: JSON.stringify(result), finishDate: Date.now() }
  await update(tx, jobRecord, { uuid }, patch)
}

function createRecorder(db: Database): Pick<Jobs, 'record' | 'recordLater' | 'recordLeft'> {
  const left = new Map<string, JobResult>()
  return {
    record,
    recordLater: (uuid, result) => void left.set(uuid, result),
    recordLeft: async () => {
      for (const [uuid, result] of left) {
        await db.write((tx) => record(tx, uuid, result))
        left.delete(uuid)
      }
    },
  }
}

function taken(uuid: string): CloudError {
  const details = `a job with the uuid ${uuid} exists already; choose another or leave the choice to the server`
  return new CloudError(sysErrors.invalidArgument, details)
}

async function waitForEnds(jobs: readonly Live[], timeoutMs: number): Promise<void> {
  const ends = jobs.map((job) => new Promise<void>((resolve) => job.waiters.push(() => resolve())))
  const late = new AbortController()
  // Aborting the timer when all ended in time is its only way to fail.
  const limit = setTimeout(timeoutMs, undefined, { signal: late.signal }).catch(() => undefined)
  await Promise.race([Promise.all(ends), limit])
  late.abort()
}

function pick(job: Live): { apiName: string; createDate: number } {
  return { apiName: job.apiName, createDate: job.createDate }
}

async function doneElsewhere({ db, owner, askNode }: JobsDeps, uuid: string): Promise<JobResult> {
  for (;;) {
    const row = await findOne(db, jobRecord, { uuid })
    if (row === undefined) throw new Error(`no job ${uuid}`)
    if (row.result !== undefined) return JSON.parse(row.result) as JobResult
    try {
      if (row.nodeUuid !== owner.nodeUuid && askNode !== undefined) return await askNode(row.nodeUuid, uuid)
    } catch {
      // The node died, or does not know the job: who takes its work over records the result.
    }
    await setTimeout(LOOK_AGAIN_MS)
  }
}

function stored(row: Infer<typeof jobRecord.fields> | undefined): JobStatus | undefined {
  if (row === undefined) return undefined
  return {
    state: row.state === 'Done' ? 'Done' : 'Processing',
    apiName: row.apiName,
    createDate: row.createDate,
    finishDate: row.finishDate,
    nodeUuid: row.nodeUuid,
    result: row.result === undefined ? undefined : (JSON.parse(row.result) as JobResult),
  }
}
