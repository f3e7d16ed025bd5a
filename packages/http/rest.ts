import type { Api } from '#contract'
import { CloudError, describeError, type ErrorBody, type Logger, toErrorBody } from '#kernel'
import type { ApiRequest, Dispatcher, JobResult, Jobs } from '#plugin-host'
import { type Admission, jobResult } from './admission.ts'
import { bodyParameters, parseQueryString, queryStringParameters } from './parameters.ts'
import type { Presenter } from './present.ts'
import { readQueryRequest } from './query-request.ts'
import { type DoorRequest, escapedJson, HttpFailure, type HttpReply, jsonReply, textReply } from './reply.ts'
import type { RouteMatch, Router } from './router.ts'
import { type WebHooks, webHookUrl } from './web-hook.ts'

/**
 * The REST door, /zstack/v1. Paths, methods, headers, statuses and bodies are those existing SDKs rely on: sync calls and
 * queries answer 200, jobs 202 with a location to poll, failures of an API 503 with an error object, everything that never
 * reaches an API a plain text.
 */
export interface RestDoor {
  handle(request: DoorRequest): Promise<HttpReply>
}

export interface RestDeps {
  readonly dispatcher: Dispatcher
  readonly jobs: Jobs
  readonly presenter: Presenter
  readonly router: Router
  readonly admission: Admission
  readonly webHooks: WebHooks
  readonly log: Logger
  /** Where a job is polled, as an absolute URL. */
  readonly jobLocation: (jobUuid: string) => string
}

// What SDKs wait at most when nobody says otherwise.
const DEFAULT_API_TIMEOUT_MS = 3 * 3_600_000
const MAX_API_TIMEOUT_SECONDS = 2_000_000
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD']
const JOBS = '/api-jobs/'

export function createRestDoor(deps: RestDeps): RestDoor {
  const byName = new Map(deps.dispatcher.apis.map((api) => [api.name, api]))
  return {
    handle: (request) =>
      request.path.startsWith(JOBS) ? pollJob(deps, byName, request) : callApi(deps, request),
  }
}

async function pollJob(
  deps: RestDeps,
  byName: ReadonlyMap<string, Api>,
  request: DoorRequest,
): Promise<HttpReply> {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    throw new HttpFailure(405, `a job is polled with GET, not ${request.method}`, { Allow: 'GET' })
  const status = await deps.jobs.status(request.path.slice(JOBS.length))
  if (status === undefined) return textReply(404, 'the job has been expired')
  if (status.result === undefined) return jsonReply(202, {})
  return resultReply(deps, byName.get(status.apiName), status.result, request)
}

function resultReply(
  deps: RestDeps,
  api: Api | undefined,
  result: JobResult,
  request: DoorRequest,
): HttpReply {
  if ('error' in result) return errorReply(result.error)
  return api === undefined ? jsonReply(200, result.output) : successReply(deps, api, result.output, request)
}

function successReply(deps: RestDeps, api: Api, output: unknown, request: DoorRequest): HttpReply {
  const epochTimes = request.header('x-time-format') === 'epoch-ms'
  const { members, schema } = deps.presenter.present(api, output, { epochTimes })
  const withSchema = api.kind === 'query' || request.header('x-json-schema') !== undefined
  const body = escapedJson(withSchema ? { ...members, schema } : members)
  return { status: 200, contentType: 'application/json', body }
}

/** The body has exactly one member: SDKs unwrap a single one. */
export function errorReply(error: ErrorBody, retryAfterSeconds?: number): HttpReply {
  const headers = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }
  return jsonReply(503, { error }, headers)
}

async function callApi(deps: RestDeps, request: DoorRequest): Promise<HttpReply> {
  const candidates = matching(deps, request)
  const hasBody = request.method === 'POST' || request.method === 'PUT'
  const body = hasBody ? await request.json() : undefined
  const match = choose(candidates, request.method, body)
  const call = await readCall(deps, match, request, body)
  const hook = webHookUrl(request.header('x-web-hook'))
  try {
    const leave = deps.admission.enter()
    try {
      if (match.api.kind === 'job') return await submitJob(deps, call, { request, hook })
      return successReply(deps, call.api, await deps.dispatcher.call(call), request)
    } finally {
      leave()
    }
  } catch (error) {
    if (!(error instanceof CloudError)) logBug(deps.log, match.api, error)
    return errorReply(toErrorBody(error), error instanceof CloudError ? error.retryAfterSeconds : undefined)
  }
}

function matching(deps: RestDeps, request: DoorRequest): readonly RouteMatch[] {
  const candidates = deps.router.find(request.segments)
  if (!METHODS.includes(request.method))
    throw new HttpFailure(405, `the method ${request.method} is not supported`, { Allow: METHODS.join(', ') })
  if (candidates.length === 0) throw new HttpFailure(404, `no api mapping to ${request.path}`)
  const method = effectiveMethod(request.method)
  if (candidates.some(({ api }) => api.method === method)) return candidates
  const allowed = [...new Set(candidates.map(({ api }) => api.method))].join(', ')
  const text = `${request.path} does not support ${request.method}; supported: ${allowed}`
  throw new HttpFailure(405, text, { Allow: allowed })
}

const effectiveMethod = (method: string) => (method === 'HEAD' ? 'GET' : method)

/** Among several PUT APIs the body's key decides. */
function choose(candidates: readonly RouteMatch[], method: string, body: unknown): RouteMatch {
  const sameMethod = candidates.filter(({ api }) => api.method === effectiveMethod(method))
  const [first] = sameMethod
  if (first !== undefined && (candidates.length === 1 || method !== 'PUT')) return first
  const keys = typeof body === 'object' && body !== null ? Object.keys(body) : []
  const named = sameMethod.find(({ api }) => keys.includes(api.parameterName))
  if (named !== undefined) return named
  const known = sameMethod.map(({ api }) => api.parameterName).join(', ')
  throw new HttpFailure(400, `the body must have one of the members: ${known}`)
}

async function readCall(
  deps: RestDeps,
  match: RouteMatch,
  request: DoorRequest,
  body: unknown,
): Promise<ApiRequest> {
  const { api, variables, byKey } = match
  const sessionUuid = api.needSession ? readSession(request.header('authorization')) : undefined
  const common = { api, sessionUuid, clientIp: request.clientIp, ...(await readHeaders(deps, api, request)) }
  const pairs = byKey ? [] : parseQueryString(request.query)
  if (api.kind === 'query') {
    const query = byKey ? byKeyRequest(api, variables) : readQueryRequest(pairs)
    return { ...common, params: {}, query: byKey ? query : withVariables(query, variables) }
  }
  const inBody = api.method === 'POST' || api.method === 'PUT'
  const sent = inBody ? bodyParameters(api, body) : queryStringParameters(api, pairs)
  return { ...common, params: { ...sent, ...variables } }
}

function byKeyRequest(api: Api, variables: Readonly<Record<string, string>>) {
  const value = Object.values(variables).at(-1) ?? ''
  return { conditions: [{ name: api.resource?.primaryKey ?? 'uuid', op: '=' as const, value }] }
}

function withVariables(
  query: ReturnType<typeof readQueryRequest>,
  variables: Readonly<Record<string, string>>,
) {
  const fromPath = Object.entries(variables).map(([name, value]) => ({ name, op: '=' as const, value }))
  return { ...query, conditions: [...query.conditions, ...fromPath] }
}

function readSession(authorization: string | undefined): string {
  if (authorization === undefined) throw new HttpFailure(400, "missing header 'Authorization'")
  const [, session] = /^OAuth\s+(\S.*)$/.exec(authorization.trim()) ?? []
  if (session === undefined) throw new HttpFailure(400, "Authorization type must be 'OAuth'")
  return session.trim()
}

async function readHeaders(
  deps: RestDeps,
  api: Api,
  request: DoorRequest,
): Promise<Pick<ApiRequest, 'jobUuid' | 'signal'>> {
  const jobUuid = request.header('x-job-uuid')
  if (jobUuid !== undefined && jobUuid.length !== 32)
    throw new HttpFailure(400, `the header X-Job-UUID must have 32 characters, got ${jobUuid.length}`)
  if (jobUuid !== undefined && api.kind === 'job' && (await deps.jobs.status(jobUuid)) !== undefined)
    throw new HttpFailure(400, `Duplicate job uuid[${jobUuid}]`)
  const timeoutMs = apiTimeoutMs(request)
  return { jobUuid, ...(timeoutMs === undefined ? {} : { signal: AbortSignal.timeout(timeoutMs) }) }
}

function apiTimeoutMs(request: DoorRequest): number | undefined {
  const text = request.header('x-api-timeout')?.trim()
  if (text === undefined || text === '') return undefined
  const seconds = Number(text)
  if (/^\d+$/.test(text) && seconds >= 1 && seconds <= MAX_API_TIMEOUT_SECONDS) return seconds * 1000
  throw new HttpFailure(400, `the header X-API-Timeout must be 1 to ${MAX_API_TIMEOUT_SECONDS} seconds`)
}

async function submitJob(
  deps: RestDeps,
  call: ApiRequest,
  at: { request: DoorRequest; hook: string | undefined },
): Promise<HttpReply> {
  const { jobUuid } = await deps.dispatcher.submit(call)
  if (at.hook !== undefined) {
    const result = jobResult(deps.jobs, jobUuid)
    const reply = async () => hookReply(deps, call.api, await result, at.request)
    deps.webHooks.deliver({ url: at.hook, jobUuid, reply })
  }
  const apiTimeout = apiTimeoutMs(at.request) ?? DEFAULT_API_TIMEOUT_MS
  return jsonReply(202, { location: deps.jobLocation(jobUuid), apiTimeout })
}

// A stranger without a session must not make this server call URLs, so that failure is only there to be polled.
function hookReply(
  deps: RestDeps,
  api: Api,
  result: JobResult | undefined,
  request: DoorRequest,
): HttpReply | undefined {
  if (result === undefined || ('error' in result && result.error.code === 'ID.1001')) return undefined
  return resultReply(deps, api, result, request)
}

function logBug(log: Logger, api: Api, error: unknown): void {
  const stack = error instanceof Error ? error.stack : undefined
  log.error({ api: api.name, err: describeError(error), stack }, 'an API call failed by a bug')
}
