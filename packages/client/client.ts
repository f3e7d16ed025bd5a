import type { Api, Defaulted, Input, Output, Shape } from '#contract'
import { CloudError, type ErrorBody, fromErrorBody, sysErrors } from '#kernel'
import { restCall, withQuery } from './request.ts'

export interface ClientOptions {
  /** Origin of the management node, `http://10.0.0.1:8080`. */
  readonly baseUrl: string
  readonly fetch?: typeof globalThis.fetch
  readonly sessionUuid?: string
}

type DefaultedKeys<S extends Shape> = {
  [K in keyof S]: S[K] extends Defaulted ? ('__defaulted' extends keyof S[K] ? K : never) : never
}[keyof S]

type Loose<T, K extends PropertyKey> = Omit<T, K> & Partial<Pick<T, K & keyof T>>

/** What a caller of an API gives: what its handler gets, but for what the server fills in by itself. */
export type CallInput<A> = A extends Api<infer I, Shape> ? Loose<Input<A>, DefaultedKeys<I>> : never

export interface CallOptions {
  /** Id of the job, chosen by the caller. */
  readonly jobUuid?: string
  /** After this time the server gives the call up. */
  readonly timeoutMs?: number
  /** Stops waiting; the call itself goes on. */
  readonly signal?: AbortSignal
}

export interface QueryOptions {
  readonly limit?: number
  readonly start?: number
  /** `name`, `+name` or `-name`. */
  readonly sort?: string
  readonly fields?: readonly string[]
  readonly count?: boolean
  readonly replyWithCount?: boolean
  readonly signal?: AbortSignal
}

export interface QueryResult<T> {
  /** Empty when only the number was asked for. */
  readonly inventories: T[]
  readonly total: number | undefined
}

/**
 * The cloud as typed functions: `client.call(createZone, { name: 'z' })`. Input and output types come from the declared API;
 * times are milliseconds. Failures are CloudErrors with the server's code and causes.
 */
export interface Client {
  readonly sessionUuid: string | undefined
  /** Logs in with the password in clear; it is hashed here. Later calls use the session. */
  logIn(accountName: string, password: string): Promise<{ readonly accountUuid: string }>
  /** Calls an API and, when it is a job, waits for its end. */
  call<A extends Api>(api: A, input: CallInput<A>, options?: CallOptions): Promise<Output<A>>
  /** Inventories that meet every condition, `['name=z', 'size>10']`. */
  query<T = Record<string, unknown>>(
    api: Api,
    conditions?: readonly string[],
    options?: QueryOptions,
  ): Promise<QueryResult<T>>
}

/** Nobody answers at the address. */
class Unreachable extends CloudError {
  override name = 'Unreachable'
}

interface Connection {
  readonly base: string
  readonly fetch: typeof globalThis.fetch
  sessionUuid: string | undefined
}

interface Exchange {
  readonly method: string
  readonly path: string
  readonly body?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

const FIRST_POLL_MS = 5
const LONGEST_POLL_MS = 1_000
const POLL_GROWTH = 1.5
const LONGEST_ABSENCE_MS = 30_000

export function createClient(options: ClientOptions): Client {
  const connection: Connection = {
    base: `${options.baseUrl.replace(/\/+$/, '')}/zstack/v1`,
    fetch: options.fetch ?? globalThis.fetch,
    sessionUuid: options.sessionUuid,
  }
  return {
    get sessionUuid() {
      return connection.sessionUuid
    },
    logIn: (accountName, password) => logIn(connection, accountName, password),
    call: async (api, input, callOptions = {}) =>
      (await call(connection, api, input, callOptions)) as Output<typeof api>,
    query: async <T>(api: Api, conditions: readonly string[] = [], queryOptions: QueryOptions = {}) => {
      const reply = await query(connection, api, conditions, queryOptions)
      return { inventories: (reply.inventories ?? []) as T[], total: reply.total as number | undefined }
    },
  }
}

async function logIn(connection: Connection, accountName: string, password: string) {
  const body = JSON.stringify({ logInByAccount: { accountName, password: await sha512(password) } })
  const reply = await exchange(connection, { method: 'PUT', path: '/accounts/login', body })
  const session = reply.members.inventory as { uuid: string; accountUuid: string }
  connection.sessionUuid = session.uuid
  return { accountUuid: session.accountUuid }
}

async function sha512(text: string): Promise<string> {
  const digest = await globalThis.crypto.subtle.digest('SHA-512', new TextEncoder().encode(text))
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

async function call(
  connection: Connection,
  api: Api,
  input: Readonly<Record<string, unknown>>,
  options: CallOptions,
): Promise<Record<string, unknown>> {
  const headers: Record<string, string> = {}
  if (options.jobUuid !== undefined) headers['X-Job-UUID'] = options.jobUuid
  if (options.timeoutMs !== undefined) headers['X-API-Timeout'] = String(Math.ceil(options.timeoutMs / 1000))
  const { signal } = options
  const reply = await exchange(connection, { ...restCall(api, input), headers, signal })
  return reply.status === 202 ? poll(connection, reply.members, signal) : reply.members
}

async function query(
  connection: Connection,
  api: Api,
  conditions: readonly string[],
  options: QueryOptions,
): Promise<Record<string, unknown>> {
  const { signal, fields, ...plain } = options
  const pairs = conditions.map((condition): [string, string] => ['q', condition])
  for (const [name, value] of Object.entries(plain))
    if (value !== undefined) pairs.push([name, String(value)])
  if (fields !== undefined) pairs.push(['fields', fields.join(',')])
  const { members } = await exchange(connection, { method: 'GET', path: withQuery(api.path, pairs), signal })
  return members
}

/** Asks for the result, soon at first and then less and less often. */
async function poll(
  connection: Connection,
  accepted: Record<string, unknown>,
  signal: AbortSignal | undefined,
): Promise<Record<string, unknown>> {
  // The node may call itself by an address that cannot be reached from here: only the job's id is taken.
  const jobUuid = String(accepted.location).split('/').at(-1) ?? ''
  let awaySince: number | undefined
  for (let pauseMs = FIRST_POLL_MS; ; pauseMs = Math.min(pauseMs * POLL_GROWTH, LONGEST_POLL_MS)) {
    await pause(pauseMs, signal)
    try {
      const reply = await exchange(connection, { method: 'GET', path: `/api-jobs/${jobUuid}`, signal })
      if (reply.status !== 202) return reply.members
      awaySince = undefined
    } catch (error) {
      // A job outlives a restart of the server.
      awaySince ??= performance.now()
      if (!(error instanceof Unreachable) || performance.now() - awaySince > LONGEST_ABSENCE_MS) throw error
    }
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason)
      return
    }
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}

async function exchange(
  connection: Connection,
  request: Exchange,
): Promise<{ status: number; members: Record<string, unknown> }> {
  const { method, path, body, signal } = request
  const headers: Record<string, string> = { 'X-Time-Format': 'epoch-ms', ...request.headers }
  if (connection.sessionUuid !== undefined) headers.Authorization = `OAuth ${connection.sessionUuid}`
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  const response = await reach(connection, path, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
    ...(signal === undefined ? {} : { signal }),
  })
  const text = await response.text()
  const members = readObject(text)
  if (response.ok && members !== undefined) return { status: response.status, members }
  if (members?.error !== undefined) throw fromErrorBody(members.error as ErrorBody)
  const details = `${method} ${path} was answered with ${response.status}: ${text.slice(0, 500)}`
  throw new CloudError(sysErrors.httpError, details)
}

async function reach(connection: Connection, path: string, init: RequestInit): Promise<Response> {
  try {
    return await connection.fetch(connection.base + path, init)
  } catch (error) {
    init.signal?.throwIfAborted()
    const details = `${connection.base} cannot be reached; check the address and that the management node runs`
    throw new Unreachable(sysErrors.ioError, details, { cause: error })
  }
}

function readObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    // Not JSON: a plain text of the server, or something that is no management node.
    return undefined
  }
}
