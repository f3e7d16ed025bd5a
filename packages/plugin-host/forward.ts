import type { Bus } from '#bus'
import type { Cluster } from '#cluster'
import { defineMessage } from '#contract'
import { CloudError, clusterErrors, type ErrorBody, sysErrors } from '#kernel'
import type { ApiReply, ApiRequest, Registration } from './dispatcher.ts'
import type { JobResult, Jobs, ProgressEntry } from './jobs.ts'

/** An API call on its way to the node that owns its key. */
interface ForwardedCall extends Omit<ApiRequest, 'api' | 'query' | 'signal'> {
  readonly apiName: string
  readonly key: string
}

export interface Accepted {
  readonly jobUuid: string
  /** Set when the call was refused before it became a job. */
  readonly refusal?: ErrorBody
}

/** What an owner does with calls that came to another node. */
export interface LocalCalls {
  answer(request: ApiRequest): Promise<ApiReply>
  submit(request: ApiRequest): Promise<Accepted>
}

/** Brings API calls to the node that owns their key. */
export interface Forwarder {
  /** Undefined when the call is to be served here; may wait until that is clear. */
  ownerOf(key: string | undefined): Promise<string | undefined>
  answer(owner: string, key: string, request: ApiRequest): Promise<ApiReply>
  /** Throws CLUSTER.1002 or CLUSTER.1003 when the call has to be brought to another node; it has not begun then. */
  submit(owner: string, key: string, request: ApiRequest): Promise<Accepted>
  serve(calls: LocalCalls): void
}

const answerCall = defineMessage<ForwardedCall, ApiReply>('api.answer')
const submitCall = defineMessage<ForwardedCall, Accepted>('api.submit')
export const jobResult = defineMessage<{ jobUuid: string }, JobResult>('job.result')
const jobProgress = defineMessage<{ jobUuid: string }, Progress | undefined>('job.progress', undefined, {
  timeoutMs: 10_000,
})

export interface Progress {
  readonly apiName: string
  readonly entries: readonly ProgressEntry[]
}

export interface ForwarderDeps {
  readonly bus: Bus
  readonly cluster: Cluster
  readonly jobs: Jobs
  readonly registrations: ReadonlyMap<string, Registration>
}

export function createForwarder({ bus, cluster, jobs, registrations }: ForwarderDeps): Forwarder {
  const pack = (key: string, { api, params, sessionUuid, jobUuid, clientIp }: ApiRequest): ForwardedCall => ({
    ...{ key, apiName: api.name, params, sessionUuid, jobUuid, clientIp },
  })
  const unpack = async ({ key, apiName, ...call }: ForwardedCall): Promise<ApiRequest> => {
    await cluster.admit(key)
    if (!cluster.owns(key)) throw ownerMoved(key)
    const api = registrations.get(apiName)?.api
    if (api !== undefined) return { ...call, api }
    throw new CloudError(sysErrors.unknownMessage, `no loaded plugin serves the API ${apiName}`)
  }
  return {
    ownerOf: async (key) => {
      if (key === undefined) return undefined
      await cluster.admit(key)
      return cluster.owns(key) ? undefined : cluster.ownerOf(key)
    },
    answer: (owner, key, request) => bus.callNode(owner, answerCall, pack(key, request)),
    submit: async (owner, key, request) => {
      try {
        return await bus.callNode(owner, submitCall, pack(key, request))
      } catch (error) {
        const jobUuid = request.jobUuid ?? ''
        // It died, perhaps after it had accepted the call: then whoever takes its work over ends the job.
        // Or it has not said in time whether it did.
        const mayBeAccepted = isOneOf(error, clusterErrors.nodeGone) || isOneOf(error, sysErrors.timeout)
        if (mayBeAccepted && (await jobs.status(jobUuid)) !== undefined) return { jobUuid }
        throw error
      }
    },
    serve: (calls) => {
      bus.serve(answerCall, async (call) => calls.answer(await unpack(call)))
      bus.serve(submitCall, async (call) => calls.submit(await unpack(call)))
      bus.serve(jobResult, ({ jobUuid }) => jobs.done(jobUuid))
      bus.serve(jobProgress, async ({ jobUuid }) => jobs.progressOf(jobUuid))
    },
  }
}

/** What a job says about itself, on whatever node it runs. */
export async function progressOf(bus: Bus, jobs: Jobs, jobUuid: string): Promise<Progress | undefined> {
  const here = jobs.progressOf(jobUuid)
  if (here !== undefined) return here
  const status = await jobs.status(jobUuid)
  if (status?.state !== 'Processing' || status.nodeUuid === undefined) return undefined
  return bus.callNode(status.nodeUuid, jobProgress, { jobUuid })
}

/** True when the call was not begun and another node is to be asked. */
export function mayMove(error: unknown): boolean {
  return isOneOf(error, clusterErrors.ownerMoved) || isOneOf(error, clusterErrors.nodeGone)
}

function isOneOf(error: unknown, { code }: { readonly code: string }): boolean {
  return error instanceof CloudError && error.code === code
}

export function ownerMoved(key: string): CloudError {
  return new CloudError(clusterErrors.ownerMoved, `${key} has another owner by now; try again`, {
    retryAfterSeconds: 1,
  })
}
