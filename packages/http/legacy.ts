import { type Api, isObject } from '#contract'
import { CloudError, describeError, sysErrors, toErrorBody } from '#kernel'
import type { ApiRequest, JobResult } from '#plugin-host'
import { type Operator, operators, type QueryCondition, type QueryRequest } from '#query'
import { type DoorRequest, escapedJson, HttpFailure, type HttpReply, jsonReply, textReply } from './reply.ts'
import { errorReply, type RestDeps } from './rest.ts'
import { formatTime } from './time.ts'

/**
 * The JSON RPC door, /zstack/api, spoken by the original's command line tools: one member named after the message class; the
 * answer is an envelope whose `result` is JSON in a string, with the reply class as its first member.
 */
export interface LegacyDoor {
  handle(request: DoorRequest): Promise<HttpReply>
}

type LegacyDeps = Pick<RestDeps, 'dispatcher' | 'jobs' | 'presenter' | 'admission' | 'log'>

const RESULT = '/result/'

export function createLegacyDoor(deps: LegacyDeps): LegacyDoor {
  const byMessage = new Map(deps.dispatcher.apis.map((api) => [api.message, api]))
  const byName = new Map(deps.dispatcher.apis.map((api) => [api.name, api]))
  return {
    handle: async (request) => {
      if (request.path.startsWith(RESULT)) return poll(deps, byName, request)
      if (request.path !== '' && request.path !== '/')
        throw new HttpFailure(404, `nothing is served at ${request.path}`)
      if (request.method !== 'POST' && request.method !== 'PUT')
        throw new HttpFailure(405, `messages are sent with POST, not ${request.method}`, {
          Allow: 'POST, PUT',
        })
      return receive(deps, byMessage, await request.json(), request)
    },
  }
}

async function poll(
  deps: LegacyDeps,
  byName: ReadonlyMap<string, Api>,
  request: DoorRequest,
): Promise<HttpReply> {
  if (!['GET', 'HEAD', 'PUT'].includes(request.method))
    throw new HttpFailure(405, `a result is polled with GET, not ${request.method}`, { Allow: 'GET, PUT' })
  const uuid = request.path.slice(RESULT.length)
  const status = await deps.jobs.status(uuid)
  if (status === undefined) throw new HttpFailure(404, `there is no API call ${uuid}, or it is too long ago`)
  const envelope = { uuid, state: status.state, createdDate: formatTime(status.createDate) }
  const api = byName.get(status.apiName)
  if (status.result === undefined) return jsonReply(200, envelope)
  return jsonReply(200, {
    ...envelope,
    finishedDate: formatTime(status.finishDate ?? status.createDate),
    result: resultText(deps, api, status.result),
  })
}

function resultText(deps: LegacyDeps, api: Api | undefined, result: JobResult): string {
  const reply = api?.reply ?? 'org.zstack.header.message.APIEvent'
  if ('error' in result) return escapedJson({ [reply]: { success: false, error: result.error } })
  const members = api === undefined ? result.output : deps.presenter.present(api, result.output).members
  const named = Object.entries(members).map(([name, value]) => [api?.legacyNames[name] ?? name, value])
  return escapedJson({ [reply]: { ...Object.fromEntries(named), success: true } })
}

async function receive(
  deps: LegacyDeps,
  byMessage: ReadonlyMap<string, Api>,
  body: unknown,
  request: DoorRequest,
): Promise<HttpReply> {
  if (!isObject(body)) throw new HttpFailure(400, 'the body must be a JSON object with one message')
  const entries = Object.entries(body)
  const [message, content] = entries[0] ?? []
  if (message === undefined || entries.length !== 1)
    throw new HttpFailure(400, `the body must have exactly one member, the message; it has ${entries.length}`)
  const api = byMessage.get(message)
  // The original answers 200 with a text here, and its tools print it.
  if (api === undefined) return textReply(200, `no such message: ${message.slice(0, 200)}`)
  if (content !== null && !isObject(content)) throw new HttpFailure(400, `${message} must be a JSON object`)
  return answer(deps, api, content ?? {}, request)
}

async function answer(
  deps: LegacyDeps,
  api: Api,
  content: Record<string, unknown>,
  request: DoorRequest,
): Promise<HttpReply> {
  const createDate = Date.now()
  let leave: () => void = () => {}
  try {
    leave = deps.admission.enter()
  } catch (error) {
    return errorReply(toErrorBody(error), (error as CloudError).retryAfterSeconds)
  }
  try {
    const call = readCall(api, content, request)
    if (api.kind === 'job') {
      const { jobUuid } = await deps.dispatcher.submit(call)
      return jsonReply(200, { uuid: jobUuid, state: 'Processing', createdDate: formatTime(createDate) })
    }
    return done(deps, api, createDate, { output: await deps.dispatcher.call(call) })
  } catch (error) {
    if (!(error instanceof CloudError))
      deps.log.error({ api: api.name, err: describeError(error) }, 'an API call failed by a bug')
    return done(deps, api, createDate, { error: toErrorBody(error) })
  } finally {
    leave()
  }
}

function done(deps: LegacyDeps, api: Api, createDate: number, result: JobResult): HttpReply {
  return jsonReply(200, {
    state: 'Done',
    createdDate: formatTime(createDate),
    finishedDate: formatTime(Date.now()),
    result: resultText(deps, api, result),
  })
}

function readCall(api: Api, content: Record<string, unknown>, request: DoorRequest): ApiRequest {
  const session = isObject(content.session) ? content.session.uuid : undefined
  const sessionUuid = typeof session === 'string' && session !== '' ? session : undefined
  const { timeout } = content
  const timeoutMs = typeof timeout === 'string' || typeof timeout === 'number' ? Number(timeout) : Number.NaN
  const common = {
    api,
    sessionUuid,
    clientIp: request.clientIp,
    ...(typeof content.id === 'string' ? { jobUuid: content.id } : {}),
    ...(timeoutMs >= 1 && timeoutMs < 2 ** 31 ? { signal: AbortSignal.timeout(Math.ceil(timeoutMs)) } : {}),
  }
  if (api.kind === 'query') return { ...common, params: {}, query: readQuery(api, content) }
  return { ...common, params: content }
}

function readQuery(api: Api, content: Record<string, unknown>): QueryRequest {
  const { conditions, fields, sortBy, sortDirection } = content
  if (!Array.isArray(conditions)) throw bad(api, 'conditions', 'is mandatory; send [] for all')
  const direction = typeof sortDirection === 'string' ? sortDirection.trim().toLowerCase() : undefined
  if (direction !== undefined && direction !== 'asc' && direction !== 'desc')
    throw bad(api, 'sortDirection', 'must be asc or desc')
  return {
    conditions: conditions.map((c) => readCondition(api, c)),
    limit: readCount(api, 'limit', content.limit),
    start: readCount(api, 'start', content.start),
    count: isTrue(content.count),
    replyWithCount: isTrue(content.replyWithCount),
    fields: Array.isArray(fields) && fields.length > 0 ? fields.map((f) => readName(api, f)) : undefined,
    ...(typeof sortBy === 'string' ? { sortBy, sortDirection: direction ?? 'asc' } : {}),
  }
}

const isTrue = (value: unknown) => value === true || value === 'true'

function readName(api: Api, raw: unknown): string {
  if (typeof raw === 'string') return raw
  throw bad(api, 'fields', 'must hold names')
}

function readCondition(api: Api, raw: unknown): QueryCondition {
  if (!isObject(raw) || typeof raw.name !== 'string')
    throw bad(api, 'conditions', 'must hold objects with name, op and value')
  const op = typeof raw.op === 'string' ? raw.op.trim().toLowerCase() : ''
  if (!operators.includes(op as Operator))
    throw bad(api, 'conditions', `has the unknown op '${op}'; known: ${operators.join(' ')}`)
  const { value } = raw
  if (typeof value === 'object' && value !== null) throw bad(api, 'conditions', 'must hold text as values')
  const text = value === undefined || value === null ? undefined : String(value)
  return { name: raw.name, op: op as Operator, value: text }
}

function readCount(api: Api, name: string, raw: unknown): number | undefined {
  if (raw === undefined || raw === null || raw === '') return undefined
  const value = typeof raw === 'string' || typeof raw === 'number' ? Number(raw) : Number.NaN
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw bad(api, name, 'must be a whole number of 0 or more')
}

function bad(api: Api, name: string, reason: string): CloudError {
  const details = `field[${name}] of ${api.name} ${reason}`
  return new CloudError(sysErrors.invalidArgument, details, { opaque: { field: name } })
}
