import type { IncomingMessage } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import type { Infer, Shape } from '#contract'
import { CloudError, currentTask, type Disposable, type Logger, newUuid, sysErrors } from '#kernel'
import type { AgentCall, AgentClient, AgentEvent, CallOptions } from './call.ts'
import { checkShape } from './check-shape.ts'
import { isClosedEarly } from './client-errors.ts'
import { followEvents } from './event-stream.ts'
import { readLines } from './lines.ts'
import { errorOfPeer, percentOfPeer } from './peer-words.ts'
import { type SenderEpoch, sendAtEpoch } from './sender-epoch.ts'
import type { AgentHello } from './server.ts'
import { agentTraffic } from './traffic.ts'
import { createWire, type Outgoing, type Wire, type WireOptions } from './wire.ts'

export interface AgentClientOptions extends WireOptions, SenderEpoch {
  readonly logger: Logger
  /** Silence after which the event stream counts as broken, 10 s when not said. */
  readonly eventSilenceMs?: number
}

/** A client that also hears what happens on the host. */
export interface AgentConnection extends AgentClient {
  /**
   * Follows the agent's events until disposed, over reconnects and without loss (what was lost is told as `agent.events-lost`).
   * `onUp` when the stream begins to flow, `onDown` with the reason once for each time it does not.
   */
  events(
    onEvent: (event: AgentEvent) => void,
    onUp?: () => void,
    onDown?: (error: unknown) => void,
  ): Disposable
}

/** An agent reached over the network. */
export interface RemoteAgent extends AgentConnection {
  hello(options?: { readonly timeoutMs?: number }): Promise<AgentHello>
  /** Opens an upgrade route and gives the connection. */
  openTunnel(path: string, options?: { readonly signal?: AbortSignal }): Promise<Duplex>
  /** Reads from a peer route. The stream fails when the connection ends early or is silent for a minute. */
  get(path: string, options?: { readonly signal?: AbortSignal }): Promise<{ stream: Readable; size: number }>
}

const TUNNEL_TIMEOUT_MS = 30_000
const GET_SILENCE_MS = 60_000
// Of answers that are not outputs: who the agent is, why it refused.
const MAX_TEXT_BYTES = 1024 * 1024

/** Connects to an agent when first used; connections are kept and reused. */
export function createAgentClient(options: AgentClientOptions): RemoteAgent {
  const wire = createWire(options)
  const followers = new Set<Disposable>()
  return {
    call: (call, input, callOptions = {}) => {
      const taskId = callOptions.taskId ?? currentTask()?.id
      const what = { call: call.name, where: options.address, taskId }
      return agentTraffic.follow(what, () =>
        callAgent({ wire, ...options }, call, input, { ...callOptions, taskId }),
      )
    },
    hello: async ({ timeoutMs = 10_000 } = {}) => {
      const what = { name: 'GET /hello', timeoutMs }
      return wire.within(what, undefined, async (signal) => {
        const response = await wire.send({ method: 'GET', path: '/hello' }, signal)
        return JSON.parse(await readText(await accepted(response, 200))) as AgentHello
      })
    },
    events: (onEvent, onUp, onDown) => {
      const follower = followEvents({
        open: async (path, signal) =>
          accepted(await wire.send({ method: 'GET', path, alone: true }, signal), 200),
        explain: (error) => wire.explain(error, 'GET /events'),
        silenceMs: options.eventSilenceMs ?? 10_000,
        logger: options.logger,
        onEvent,
        onUp: onUp ?? (() => undefined),
        onDown: onDown ?? (() => undefined),
      })
      followers.add(follower)
      return follower
    },
    openTunnel: (path, o) => openTunnel(wire, path, o?.signal),
    get: (path, o) => getStream(wire, path, o?.signal),
    close: () => {
      for (const follower of followers) void follower.dispose()
      wire.close()
    },
  }
}

async function callAgent<I extends Shape, O extends Shape>(
  { wire, ...sender }: SenderEpoch & { readonly wire: Wire },
  call: AgentCall<I, O>,
  input: Infer<I>,
  options: Omit<CallOptions, 'taskId'> & { readonly taskId: string | undefined },
): Promise<Infer<O>> {
  const { taskId } = options
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-call-id': options.callId ?? newUuid(),
    ...(taskId === undefined ? {} : { 'x-task-id': taskId }),
  }
  const body = JSON.stringify(input)
  const outgoing = (epoch: number): Outgoing => ({
    method: 'POST',
    path: `/call/${call.name}`,
    headers: sender.epoch === undefined ? headers : { ...headers, 'x-cluster-epoch': String(epoch) },
    body,
  })
  const what = { name: call.name, timeoutMs: options.timeoutMs ?? call.timeoutMs }
  const output = await wire.within(what, options.signal, async (signal) => {
    const send = (epoch: number) => wire.send(outgoing(epoch), signal)
    return sendAtEpoch(sender, async (epoch) => {
      // A kept connection may have been closed by the other side just now. The call id makes the repeat harmless.
      const response = await send(epoch).catch((error: unknown) => {
        if (signal.aborted || !isClosedEarly(error)) throw error
        return send(epoch)
      })
      return readOutcome(response, options.onProgress)
    })
  })
  checkShape(call.output, output, `the agent's answer to ${call.name} is not what was declared`)
  return output as Infer<O>
}

async function readOutcome(
  response: IncomingMessage,
  onProgress: ((percent: number) => void) | undefined,
): Promise<unknown> {
  for await (const text of readLines(response)) {
    const line = JSON.parse(text) as { progress?: unknown; output?: unknown; error?: unknown }
    if (line.error !== undefined) throw errorOfPeer(line.error)
    if (line.output !== undefined) {
      response.resume()
      return line.output
    }
    const percent = percentOfPeer(line.progress)
    if (percent !== undefined) onProgress?.(percent)
  }
  throw Object.assign(new Error('the answer ended before its last line'), { code: 'TRUNCATED' })
}

async function openTunnel(wire: Wire, path: string, signal: AbortSignal | undefined): Promise<Duplex> {
  const what = { name: `GET ${path}`, timeoutMs: TUNNEL_TIMEOUT_MS }
  return wire.within(what, signal, async (within) => {
    const headers = { connection: 'Upgrade', upgrade: 'tunnel' }
    const response = await wire.send({ method: 'GET', path: encodePath(path), headers, alone: true }, within)
    if (response.tunnel !== undefined) return response.tunnel
    await accepted(response, 101)
    throw new Error('the agent did not open the tunnel')
  })
}

async function getStream(
  wire: Wire,
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ stream: Readable; size: number }> {
  // The caller's signal governs the whole transfer, the deadline only the time until it begins.
  const transfer = new AbortController()
  signal?.addEventListener('abort', () => transfer.abort(), { once: true })
  return wire.within({ name: `GET ${path}`, timeoutMs: TUNNEL_TIMEOUT_MS }, signal, async (within) => {
    const giveUp = () => transfer.abort()
    within.addEventListener('abort', giveUp)
    const sent = await wire.send({ method: 'GET', path: encodePath(path), alone: true }, transfer.signal)
    const stream = await accepted(sent, 200)
    within.removeEventListener('abort', giveUp)
    stream.setTimeout(GET_SILENCE_MS, () => {
      stream.destroy(
        new CloudError(sysErrors.timeout, `nothing came for ${GET_SILENCE_MS} ms from GET ${path}`),
      )
    })
    return { stream, size: Number(stream.headers['content-length'] ?? Number.NaN) }
  })
}

/** The response when it has the status expected, else the error it carries. */
async function accepted(response: IncomingMessage, status: number): Promise<IncomingMessage> {
  if (response.statusCode === status) return response
  const text = await readText(response)
  let body: { error?: unknown } | null | undefined
  try {
    body = JSON.parse(text) as { error?: unknown } | null
  } catch {
    // Not one of ours; the status has to do.
  }
  if (body?.error !== undefined) throw errorOfPeer(body.error)
  throw new CloudError(sysErrors.httpError, `the agent answered with HTTP status ${response.statusCode}`)
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size > MAX_TEXT_BYTES) throw new Error(`the answer is longer than ${MAX_TEXT_BYTES} bytes`)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}
