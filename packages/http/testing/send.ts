import { waitFor } from '#kernel'
import { goodSession, type ThingCloud } from './thing-cloud.ts'

// biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every shape
export type Json = any

export interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
  /** The parsed body. Throws when it is not JSON. */
  json(): Json
}

export interface SendOptions {
  readonly body?: unknown
  /** Sent as it is, instead of `body` as JSON. */
  readonly raw?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly session?: string | undefined
}

/** Sends a request to the test server, with a good session unless told otherwise. */
export async function send(
  cloud: ThingCloud,
  method: string,
  path: string,
  options: SendOptions = {},
): Promise<Answer> {
  const session = 'session' in options ? options.session : goodSession
  const headers: Record<string, string> = { ...options.headers }
  if (session !== undefined) headers.authorization = `OAuth ${session}`
  const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body))
  const response = await fetch(cloud.origin + path, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
  })
  const text = await response.text()
  return { status: response.status, text, headers: response.headers, json: () => JSON.parse(text) }
}

/** Sends to the REST door and, when it answers with a job, polls until the job has ended. */
export async function run(
  cloud: ThingCloud,
  method: string,
  path: string,
  options: SendOptions = {},
): Promise<Answer> {
  const answer = await send(cloud, method, `/zstack/v1${path}`, options)
  if (answer.status !== 202) return answer
  const location = new URL(answer.json().location)
  return waitFor('the job to end', async () => {
    const poll = await send(cloud, 'GET', location.pathname)
    return poll.status === 202 ? undefined : poll
  })
}

/** Creates a thing and returns its inventory. */
export async function newThing(cloud: ThingCloud, params: object = {}): Promise<Json> {
  const answer = await run(cloud, 'POST', '/things', { body: { params: { name: 'a', ...params } } })
  return answer.json().inventory
}

/** Sends a message to the legacy door and returns the envelope with its result parsed, polling when needed. */
export async function legacy(
  cloud: ThingCloud,
  message: string,
  content: object = {},
): Promise<{ envelope: Json; replyClass: string; result: Json }> {
  const body = { [message]: { session: { uuid: goodSession }, ...content } }
  const first = (await send(cloud, 'POST', '/zstack/api/', { body, session: undefined })).json()
  const envelope = await waitFor('the call to end', async () => {
    if (first.state === 'Done') return first
    const poll = (await send(cloud, 'GET', `/zstack/api/result/${first.uuid}`)).json()
    return poll.state === 'Done' ? poll : undefined
  })
  const [replyClass = '', result] = Object.entries(JSON.parse(envelope.result))[0] ?? []
  return { envelope, replyClass, result: result as Json }
}
