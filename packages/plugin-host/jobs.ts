import { setTimeout } from 'node:timers/promises'
import { defineResource, optional, text, timestamp } from '#contract'
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
import { CloudError, type ErrorBody, sysErrors, toErrorBody } from '#kernel'

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

export interface JobStatus {
  readonly state: 'Processing' | 'Done'
  readonly apiName: string
  readonly createDate: number
  readonly finishDate: number | undefined
  readonly result: JobResult | undefined
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
  /** Makes the result known to those who wait in this process. */
  announce(uuid: string, result: JobResult): void
  /** A call that failed before it was accepted, or whose result could not be stored: pollable for a while, in memory only. */
  refuse(uuid: string, apiName: string, error: ErrorBody): void
  status(uuid: string): Promise<JobStatus | undefined>
  /** Resolves when the job ends, in this process. */
  done(uuid: string): Promise<JobResult>
  progress(uuid: string, entry: ProgressEntry): void
  progressOf(
    uuid: string,
  ): { readonly apiName: string; readonly entries: readonly ProgressEntry[] } | undefined
  /** Resolves when no job runs any more, or after `timeoutMs`. */
  idle(timeoutMs: number): Promise<void>
  running(): readonly { uuid: string; apiName: string; createDate: number }[]
  /** Ends what an earlier process left without a result. `errorOf` explains what became of each. */
  failInterrupted(errorOf: (uuid: string) => CloudError): Promise<number>
  purge(olderThanMs: number): Promise<number>
}

interface Live {
  readonly apiName: string
  readonly createDate: number
  readonly entries: ProgressEntry[]
  readonly waiters: ((result: JobResult) => void)[]
}

// Refused calls kept for their pollers; the oldest go first.
const MAX_REFUSED = 2_000
const MAX_PROGRESS_ENTRIES = 200

export function createJobs(db: Database, nodeUuid: string): Jobs {
  const live = new Map<string, Live>()
  const refused = new Map<string, JobStatus>()
  return {
    accept: async ({ uuid, apiName, accountUuid }) => {
      // Also guards the entry of a running job, whose waiters would be lost.
      if (live.has(uuid)) throw taken(uuid)
      const createDate = Date.now()
      live.set(uuid, { apiName, createDate, entries: [], waiters: [] })
      try {
        const row = { uuid, apiName, accountUuid, nodeUuid, state: 'Processing', createDate }
        await db.write((tx) => insert(tx, jobRecord, row))
      } catch (error) {
        live.delete(uuid)
        throw error instanceof UniqueConflict ? taken(uuid) : error
      }
    },
    record: async (tx, uuid, result) => {
      await update(
        tx,
        jobRecord,
        { uuid },
        { state: 'Done', result: JSON.stringify(result), finishDate: Date.now() },
      )
    },
    announce: (uuid, result) => {
      const job = live.get(uuid)
      live.delete(uuid)
      for (const waiter of job?.waiters ?? []) waiter(result)
    },
    refuse: (uuid, apiName, error) => {
      const now = Date.now()
      refused.set(uuid, { state: 'Done', apiName, createDate: now, finishDate: now, result: { error } })
      if (refused.size > MAX_REFUSED) for (const oldest of refused.keys()) return void refused.delete(oldest)
    },
    status: async (uuid) => {
      const job = live.get(uuid)
      if (job !== undefined)
        return { state: 'Processing', ...pick(job), finishDate: undefined, result: undefined }
      const row = stored(await findOne(db, jobRecord, { uuid }))
      // What is stored goes first: anybody may have a call refused under the uuid of another's job.
      return row?.state === 'Done' ? row : (refused.get(uuid) ?? row)
    },
    done: (uuid) =>
      new Promise((resolve, reject) => {
        const job = live.get(uuid)
        if (job === undefined) reject(new Error(`no running job ${uuid}`))
        else job.waiters.push(resolve)
      }),
    progress: (uuid, entry) => {
      const entries = live.get(uuid)?.entries
      if (entries === undefined) return
      if (entries.length >= MAX_PROGRESS_ENTRIES) entries.shift()
      entries.push(entry)
    },
    progressOf: (uuid) => live.get(uuid),
    idle: (timeoutMs) => waitForEnds([...live.values()], timeoutMs),
    running: () => [...live].map(([uuid, job]) => ({ uuid, ...pick(job) })),
    failInterrupted: (errorOf) => failInterrupted(db, nodeUuid, errorOf),
    purge: (olderThanMs) =>
      db.write((tx) =>
        remove(tx, jobRecord, { state: 'Done', createDate: lessThan(Date.now() - olderThanMs) }),
      ),
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

async function failInterrupted(
  db: Database,
  nodeUuid: string,
  errorOf: (uuid: string) => CloudError,
): Promise<number> {
  const jobs = await find(db, jobRecord, { nodeUuid, state: 'Processing' })
  for (const { uuid } of jobs) {
    const result = JSON.stringify({ error: toErrorBody(errorOf(uuid)) } satisfies JobResult)
    await db.write((tx) => update(tx, jobRecord, { uuid }, { state: 'Done', result, finishDate: Date.now() }))
  }
  return jobs.length
}

function stored(
  row:
    | {
        apiName: string
        state: string
        createDate: number
        finishDate?: number | undefined
        result?: string | undefined
      }
    | undefined,
): JobStatus | undefined {
  if (row === undefined) return undefined
  return {
    state: row.state === 'Done' ? 'Done' : 'Processing',
    apiName: row.apiName,
    createDate: row.createDate,
    finishDate: row.finishDate,
    result: row.result === undefined ? undefined : (JSON.parse(row.result) as JobResult),
  }
}
