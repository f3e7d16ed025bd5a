import { type ApiErrorBody, ApiFailure, ServerFailure } from './failure.ts'
import type { Say } from './texts.ts'

/** The legacy door of one management node. */
export interface Connection {
  /** `host:port` */
  readonly address: string
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>
  /** Sends a message and waits for its end. Throws ApiFailure when it failed, ServerFailure when nobody answers. */
  send(apiName: string, request: Message, onWait?: OnWait): Promise<Record<string, unknown>>
}

export interface Message {
  /** Fully qualified class. */
  readonly message: string
  readonly content: Readonly<Record<string, unknown>>
}

/** Told now and then while a job runs. */
export type OnWait = (jobUuid: string, elapsedMs: number) => void | Promise<void>

interface Envelope {
  readonly uuid?: string
  readonly state?: string
  readonly result?: string
}

const FIRST_POLL_MS = 5
const LONGEST_POLL_MS = 1_000
const POLL_GROWTH = 1.5
const LONGEST_ABSENCE_MS = 30_000

export function connect(host: string, port: number, say: Say): Connection {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const request = async (path: string, init: RequestInit) => {
    try {
      return await fetch(`http://${address}${path}`, init)
    } catch (error) {
      throw new ServerFailure(say('unreachable', address, reasonOf(error)), { cause: error })
    }
  }
  const envelopeOf = async (response: Response) => {
    const text = await response.text()
    return readEnvelope(response.status, text, say)
  }
  const get: Connection['get'] = (path, headers = {}) =>
    request(path, { headers: { 'User-Agent': 'cli', ...headers } })
  const poll = patiently((uuid) => get(`/zstack/api/result/${uuid}`))
  return {
    address,
    get,
    send: async (apiName, { message, content }, onWait) => {
      const body = JSON.stringify({ [message]: content })
      const headers = { 'User-Agent': 'cli', 'Content-Type': 'application/json' }
      let envelope = await envelopeOf(await request('/zstack/api/', { method: 'POST', headers, body }))
      const startedAt = performance.now()
      for (let pauseMs = FIRST_POLL_MS; envelope.state !== 'Done'; pauseMs *= POLL_GROWTH) {
        await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, LONGEST_POLL_MS)))
        const response = await poll(envelope.uuid ?? '')
        if (response === undefined) continue
        envelope = await envelopeOf(response)
        if (envelope.state !== 'Done') await onWait?.(envelope.uuid ?? '', performance.now() - startedAt)
      }
      return resultOf(apiName, envelope, say)
    },
  }
}

/** A job outlives a restart of the server: undefined while it is away, and its failure when that takes too long. */
function patiently(ask: (uuid: string) => Promise<Response>) {
  let awaySince: number | undefined
  return async (uuid: string): Promise<Response | undefined> => {
    try {
      const response = await ask(uuid)
      awaySince = undefined
      return response
    } catch (error) {
      awaySince ??= performance.now()
      if (!(error instanceof ServerFailure) || performance.now() - awaySince > LONGEST_ABSENCE_MS) throw error
      return undefined
    }
  }
}

function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: string; message?: string } }
  return cause?.code ?? cause?.message ?? (error instanceof Error ? error.message : String(error))
}

function readEnvelope(status: number, text: string, say: Say): Envelope {
  let value: Envelope & { error?: ApiErrorBody }
  try {
    value = JSON.parse(text)
  } catch {
    throw new ServerFailure(say('badAnswer', status, text.slice(0, 500)))
  }
  if (value.error !== undefined) throw new ApiFailure('', value.error)
  if (value.state === undefined) throw new ServerFailure(say('badAnswer', status, text.slice(0, 500)))
  return value
}

/** The first member of the result is the reply, whatever its class is called. */
function resultOf(apiName: string, envelope: Envelope, say: Say): Record<string, unknown> {
  let reply: Record<string, unknown> | undefined
  try {
    reply = Object.values(JSON.parse(envelope.result ?? ''))[0] as Record<string, unknown>
  } catch {
    throw new ServerFailure(say('badAnswer', 200, String(envelope.result).slice(0, 500)))
  }
  if (reply?.success !== true) {
    const unknown = { code: 'SYS.1000', details: JSON.stringify(reply) }
    throw new ApiFailure(apiName, (reply?.error as ApiErrorBody | undefined) ?? unknown)
  }
  return reply
}
