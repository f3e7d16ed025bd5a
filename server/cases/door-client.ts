import { Agent, request } from 'node:http'
import type { Api } from '#contract'
import { createHttpServer } from '#http'
import { silentLogger, waitFor } from '#kernel'
import type { TestCloud } from '#testkit'

/** What a door answered in the end: of a job, its result. */
export interface Outcome {
  readonly status: number
  readonly text: string
  /** Undefined unless an API failed. */
  readonly error: { readonly code: string; readonly details: string } | undefined
}

export interface CallOptions {
  /** Sent instead of a good session; undefined sends none. */
  readonly session?: string | undefined
}

export type DoorName = 'rest' | 'legacy'

/** Calls APIs of a test cloud over HTTP as a stranger would: nothing is checked before it is sent. */
export interface DoorClient {
  readonly session: string
  call(door: DoorName, api: Api, params: Record<string, unknown>, options?: CallOptions): Promise<Outcome>
  send(
    method: string,
    path: string,
    body?: string,
    session?: string,
  ): Promise<{ status: number; text: string }>
  dispose(): Promise<void>
}

/** Serves `cloud` on a port of the loopback. `log` hears of what the server itself cannot explain. */
export async function openDoors(cloud: TestCloud, session: string, log = silentLogger): Promise<DoorClient> {
  const { dispatcher, jobs } = cloud.cloud
  const server = createHttpServer({
    dispatcher,
    jobs,
    log,
    resources: cloud.cloud.context.query.registry.all,
  })
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  const agent = new Agent({ keepAlive: true })
  const send: DoorClient['send'] = (method, path, body, as) =>
    new Promise((resolve, reject) => {
      const headers = as === undefined ? {} : { authorization: `OAuth ${as}` }
      const call = request({ host: '127.0.0.1', port, agent, method, path, headers }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        )
        response.on('error', reject)
      })
      call.on('error', reject)
      call.end(body)
    })
  return {
    session,
    send,
    call: (door, api, params, options = { session }) =>
      door === 'rest'
        ? callRest(send, api, params, options.session)
        : callLegacy(send, api, params, options.session),
    dispose: async () => {
      agent.destroy()
      await server.dispose()
    },
  }
}

async function callRest(
  send: DoorClient['send'],
  api: Api,
  params: Record<string, unknown>,
  session: string | undefined,
): Promise<Outcome> {
  const names = new Set<string>()
  const path = api.path.replace(/\{([^}]+)\}/g, (_all, name: string) => {
    names.add(name)
    return encodeURIComponent(textOf(params[name])) || '%20'
  })
  const rest = Object.entries(params).filter(([name]) => !names.has(name))
  const hasBody = api.method === 'POST' || api.method === 'PUT'
  const body = JSON.stringify({ [api.parameterName]: Object.fromEntries(rest) })
  const query = rest.flatMap(([name, value]) => pairs(name, value)).join('&')
  const target = `/zstack/v1${path}${hasBody || query === '' ? '' : `?${query}`}`
  let answer = await send(api.method, target, hasBody ? body : undefined, session)
  if (answer.status === 202) {
    const { pathname } = new URL(JSON.parse(answer.text).location)
    answer = await polled(
      () => send('GET', pathname),
      ({ status }) => status !== 202,
    )
  }
  const error = answer.status === 503 ? JSON.parse(answer.text).error : undefined
  return { ...answer, error }
}

async function callLegacy(
  send: DoorClient['send'],
  api: Api,
  params: Record<string, unknown>,
  session: string | undefined,
): Promise<Outcome> {
  const content = { ...params, ...(session === undefined ? {} : { session: { uuid: session } }) }
  const more = api.kind === 'query' && !Object.hasOwn(params, 'conditions') ? { conditions: [] } : {}
  const body = JSON.stringify({ [api.message]: { ...content, ...more } })
  let answer = await send('POST', '/zstack/api', body)
  if (answer.status !== 200) return { ...answer, error: undefined }
  const { uuid, state } = JSON.parse(answer.text)
  if (state === 'Processing') {
    answer = await polled(
      () => send('GET', `/zstack/api/result/${encodeURIComponent(uuid)}`),
      ({ text }) => JSON.parse(text).state === 'Done',
    )
  }
  const [reply] = Object.values(JSON.parse(JSON.parse(answer.text).result)) as [{ error?: Outcome['error'] }]
  return { ...answer, error: reply.error }
}

function polled<T>(ask: () => Promise<T>, isDone: (answer: T) => boolean): Promise<T> {
  const once = async () => {
    const answer = await ask()
    return isDone(answer) ? answer : undefined
  }
  return waitFor('the job to end', once, { intervalMs: 1, timeoutMs: 10_000 })
}

function pairs(name: string, value: unknown): string[] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value)) return value.flatMap((item) => pairs(name, item))
  if (typeof value === 'object')
    return Object.entries(value).flatMap(([key, v]) => pairs(`${name}.${key}`, v))
  return [`${encodeURIComponent(textOf(name))}=${encodeURIComponent(textOf(value))}`]
}

/** As text that a URL can hold. */
function textOf(value: unknown): string {
  return (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).toWellFormed().slice(0, 8_000)
}
