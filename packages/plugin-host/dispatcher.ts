import type { Bus } from '#bus'
import type { Api } from '#contract'
import type { Database } from '#db'
import {
  CloudError,
  describeError,
  fromErrorBody,
  isUuid,
  type Logger,
  newOrderedUuid,
  newUuid,
  sysErrors,
  toErrorBody,
  withoutDeadline,
} from '#kernel'
import type { QueryEngine, QueryRequest } from '#query'
import type { WorkflowEngine } from '#workflow'
import { type Admission, isOverload } from './admission.ts'
import { type Accepted, type Forwarder, mayMove, ownerMoved } from './forward.ts'
import type { JobResult, Jobs } from './jobs.ts'
import type { Meters } from './meters.ts'
import type { ApiCall, HandleOptions } from './plugin.ts'
import { type Prepared, prepare } from './prepare-call.ts'
import { logFailure, type Recorded, runHandler, taskOf } from './run-call.ts'
import { createUuidClaims, type UuidClaims } from './uuid-claims.ts'

/** An API call as a front door hands it over. */
export interface ApiRequest {
  readonly api: Api
  /** Parameters as sent; checked here. Queries carry a QueryRequest in `query` instead. */
  readonly params: Readonly<Record<string, unknown>>
  readonly query?: QueryRequest
  readonly sessionUuid?: string | undefined
  /** Id of the job, chosen by the client. */
  readonly jobUuid?: string | undefined
  readonly clientIp?: string | undefined
  readonly signal?: AbortSignal
}

export type ApiReply = Readonly<Record<string, unknown>>

/** Where every API call passes: who asks, is the request sound, does what it names exist; then the handler. */
export interface Dispatcher {
  readonly apis: readonly Api[]
  /** Runs a sync API or a query, or a job to its end, and returns the reply. Throws CloudErrors. */
  call(request: ApiRequest): Promise<ApiReply>
  /** Accepts a job and returns its uuid at once; its result is in `jobs`. */
  submit(request: ApiRequest): Promise<{ readonly jobUuid: string }>
}

/** Tells whose session it is; throws ID.1001 when it is nobody's. */
export type Authenticate = (sessionUuid: string | undefined) => Promise<{ readonly accountUuid: string }>

export interface Registration {
  readonly api: Api
  readonly handler: (input: never, call: ApiCall) => Promise<unknown>
  readonly options: HandleOptions<never>
}

export interface DispatcherDeps {
  readonly db: Database
  readonly queries: QueryEngine
  readonly bus: Bus
  readonly forwarder: Forwarder
  readonly admission: Admission
  readonly jobs: Jobs
  readonly workflows: WorkflowEngine
  readonly log: Logger
  readonly meters: Meters
  readonly registrations: ReadonlyMap<string, Registration>
  readonly authenticate: Authenticate
  /** Undefined when requests may be served. */
  readonly notReady: () => string | undefined
}

/** What the parts of the dispatcher work with. */
export interface Deps extends DispatcherDeps {
  readonly claims: UuidClaims
}

const MAX_JOB_ID = 64
// While the ring changes, a call may have to follow its key.
const MAX_PASSES = 3

export function createDispatcher(given: DispatcherDeps): Dispatcher {
  const deps: Deps = { ...given, claims: createUuidClaims(given.queries) }
  deps.forwarder.serve({
    answer: async (request) => answerHere(deps, await prepare(deps, request)),
    submit: (request) => submit(deps, request, 0),
  })
  return {
    apis: [...deps.registrations.values()].map((r) => r.api),
    call: async (request) => {
      if (request.api.kind !== 'job') return answer(deps, request)
      const { jobUuid, refusal } = await submit(deps, request)
      if (refusal !== undefined) throw fromErrorBody(refusal)
      const result = await deps.jobs.done(jobUuid)
      if ('error' in result) throw fromErrorBody(result.error)
      return result.output
    },
    submit: async (request) => ({ jobUuid: (await submit(deps, request)).jobUuid }),
  }
}

async function answer(deps: Deps, request: ApiRequest): Promise<ApiReply> {
  const { api } = request
  for (let passes = 0; ; passes += 1) {
    const prepared = await prepare(deps, request)
    if (api.kind === 'query' && api.resource !== undefined) {
      const { resource } = api
      const ask = () => deps.queries.query(resource, request.query ?? { conditions: [] })
      return (await deps.meters.api(api.name, ask)) as ApiReply
    }
    const owner = await deps.forwarder.ownerOf(prepared.key)
    try {
      if (owner === undefined || prepared.key === undefined) return await answerHere(deps, prepared)
      return await deps.forwarder.answer(owner, prepared.key, prepared.request)
    } catch (error) {
      if (!mayMove(error) || passes >= MAX_PASSES) throw error
    }
  }
}

async function answerHere(deps: Deps, prepared: Prepared): Promise<ApiReply> {
  const { api } = prepared.request
  const task = taskOf(deps, newUuid(), api.name, prepared.request.signal)
  try {
    return await runHandler(deps, prepared, task, undefined)
  } catch (error) {
    if (error instanceof CloudError) throw error
    logFailure(deps, api, task.id, error)
    throw new CloudError(sysErrors.internal, `${api.name} failed: ${describeError(error)}`, { cause: error })
  }
}

/** Accepts a job, here or where its key belongs. `passes`: how often it may still be passed on. */
async function submit(deps: Deps, given: ApiRequest, passes = MAX_PASSES): Promise<Accepted> {
  const jobUuid = given.jobUuid ?? newOrderedUuid()
  const { api } = given
  // Refusals are kept for those who poll, under the id they chose: anybody may send one, so it must be of bounded size.
  if (jobUuid.length > MAX_JOB_ID)
    throw new CloudError(
      sysErrors.invalidArgument,
      `the job uuid is ${jobUuid.length} characters long, at most ${MAX_JOB_ID} are allowed`,
    )
  const refuse = (error: unknown) => {
    const refusal = toErrorBody(error)
    deps.jobs.keep(jobUuid, api.name, { error: refusal })
    return { jobUuid, refusal }
  }
  let prepared: Prepared
  let owner: string | undefined
  try {
    if (!isUuid(jobUuid))
      throw new CloudError(sysErrors.invalidArgument, `the job uuid '${jobUuid}' is not a uuid`)
    prepared = await prepare(deps, { ...given, jobUuid })
    owner = await deps.forwarder.ownerOf(prepared.key)
  } catch (error) {
    return refuse(error)
  }
  if (owner !== undefined && prepared.key !== undefined) {
    if (passes === 0) throw ownerMoved(prepared.key)
    try {
      const accepted = await deps.forwarder.submit(owner, prepared.key, prepared.request)
      if (accepted.refusal !== undefined) deps.jobs.keep(jobUuid, api.name, { error: accepted.refusal })
      return accepted
    } catch (error) {
      if (isOverload(error)) throw error
      if (mayMove(error)) return submit(deps, prepared.request, passes - 1)
      return refuse(error)
    }
  }
  const { accountUuid } = prepared
  deps.admission.enter(accountUuid)
  try {
    await deps.jobs.accept({ uuid: jobUuid, apiName: api.name, accountUuid })
  } catch (error) {
    deps.admission.leave(accountUuid)
    throw error
  }
  // Whoever brought it waits for its acceptance only.
  void withoutDeadline(() => runJob(deps, prepared, jobUuid)).finally(() => deps.admission.leave(accountUuid))
  return { jobUuid }
}

/** Runs a job to its end; never rejects. */
async function runJob(deps: Deps, prepared: Prepared, jobUuid: string): Promise<void> {
  const { request } = prepared
  const task = taskOf(deps, jobUuid, request.api.name, request.signal)
  const recorded: Recorded = { reply: undefined }
  let result: JobResult
  try {
    const output = await runHandler(deps, prepared, task, recorded)
    result = { output }
    if (recorded.reply === output) return deps.jobs.announce(jobUuid, result)
    // A reply that is no JSON is a bug of the handler, and no database would ever take it.
    JSON.stringify(output)
  } catch (error) {
    logFailure(deps, request.api, jobUuid, error)
    result = { error: toErrorBody(error) }
  }
  await recordResult(deps, request.api.name, jobUuid, result)
  deps.jobs.announce(jobUuid, result)
}

/** What the call did is done, whether the database can take its result now or not. */
async function recordResult(deps: Deps, apiName: string, jobUuid: string, result: JobResult): Promise<void> {
  try {
    await deps.db.write((tx) => deps.jobs.record(tx, jobUuid, result))
  } catch (failure) {
    const err = describeError(failure)
    deps.log.error({ taskId: jobUuid, err }, 'the result of a job could not be recorded')
    deps.jobs.keep(jobUuid, apiName, result)
    deps.jobs.recordLater(jobUuid, result)
  }
}
