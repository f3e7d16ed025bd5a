import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import {
  CloudError,
  clusterErrors,
  describeError,
  type Logger,
  newUuid,
  sysErrors,
  toErrorBody,
} from '#kernel'
import type { TlsIdentity } from './ca.ts'
import type { AgentCall, AgentEvent, AgentHandlers } from './call.ts'
import { CallMemory } from './call-memory.ts'
import { createCallServer } from './call-server.ts'
import { createEpochGate, type EpochStore } from './epoch-gate.ts'
import { EventLog } from './event-log.ts'
import { findRoute, type Peer, type PeerRoute, type UpgradeRoute } from './routes.ts'
import { joinStreams } from './tunnel.ts'

export interface AgentServerOptions<Calls extends Readonly<Record<string, AgentCall>>> {
  readonly tls: TlsIdentity
  readonly calls: Calls
  readonly handlers: AgentHandlers<Calls>
  /** Uuid of the resource this agent serves. */
  readonly uuid: string
  /** Hash of the running bundle, told by GET /hello. */
  readonly bundleHash: string
  readonly peerRoutes?: readonly PeerRoute[]
  readonly upgradeRoutes?: readonly UpgradeRoute[]
  readonly logger: Logger
  /** What keeps the highest epoch of the cluster between starts; forgotten with the server when absent. */
  readonly epochs?: EpochStore
  /** How long and how many answers are remembered for repeats; 10 minutes and 2,000 when not said. */
  readonly memory?: { readonly keepMs?: number; readonly keep?: number }
}

/** What GET /hello tells the management. */
export interface AgentHello {
  readonly uuid: string
  readonly bundleHash: string
  readonly pid: number
  readonly startedAtMs: number
  /** New at each start of the agent. */
  readonly instance: string
}

export interface AgentServer {
  /** Listens and gives the port (the one chosen when `port` is 0). */
  listen(port: number, address: string): Promise<number>
  /** Tells the management that something happened. */
  emit(event: AgentEvent): void
  /** Stops listening, tells running calls to stop, waits for them, and cuts every connection. */
  close(): Promise<void>
}

/** Everything a request is served with. */
interface Service {
  readonly hello: AgentHello
  readonly events: EventLog
  readonly peerRoutes: readonly PeerRoute[]
  readonly upgradeRoutes: readonly UpgradeRoute[]
  readonly logger: Logger
  readonly serveCall: (name: string, request: IncomingMessage, response: ServerResponse) => Promise<void>
}

/**
 * The agent's side of the wire: HTTPS with mutual TLS 1.3. Only OU=management calls commands and reads events;
 * other agents get the routes that allow them. Commands of a management node that lost its place in the cluster are refused.
 */
export function createAgentServer<Calls extends Readonly<Record<string, AgentCall>>>(
  options: AgentServerOptions<Calls>,
): AgentServer {
  const { logger, uuid, bundleHash } = options
  const memory = new CallMemory(options.memory)
  const events = new EventLog()
  const epochs = createEpochGate(options.epochs ?? forgetful)
  const service: Service = {
    hello: { uuid, bundleHash, pid: process.pid, startedAtMs: Date.now(), instance: newUuid() },
    events,
    peerRoutes: options.peerRoutes ?? [],
    upgradeRoutes: options.upgradeRoutes ?? [],
    logger,
    serveCall: createCallServer({ calls: options.calls, handlers: options.handlers, memory, epochs, logger }),
  }
  const { server, cutConnections } = createTlsServer(options.tls, service)
  return {
    listen: (port, address) => listen(server, port, address),
    emit: (event) => events.emit(event),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      events.close()
      memory.abortAll(new Error('the agent is stopping'))
      await memory.settled()
      cutConnections()
      await closed
    },
  }
}

const forgetful: EpochStore = { load: () => 0, save: async () => undefined }

function createTlsServer(tls: TlsIdentity, service: Service): { server: Server; cutConnections: () => void } {
  const server = createServer({
    ca: tls.ca,
    cert: tls.cert,
    key: tls.key,
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: true,
    keepAliveTimeout: 120_000,
  })
  const sockets = new Set<Duplex>()
  server.on('secureConnection', (socket) => {
    sockets.add(socket)
    socket.setKeepAlive(true, 10_000)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', (error, socket) => {
    service.logger.warn({ from: socket.remoteAddress, reason: error.message }, 'connection refused')
  })
  server.on('request', (request, response) => void serve(service, request, response))
  server.on('upgrade', (request, socket, head) => void serveUpgrade(service, request, socket, head))
  return {
    server,
    cutConnections: () => {
      for (const socket of sockets) socket.destroy()
    },
  }
}

function listen(server: Server, port: number, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const where = `${address}:${port}`
      reject(new CloudError(sysErrors.ioError, `the agent cannot listen on ${where}`, { cause }))
    })
    server.listen(port, address, () => resolve((server.address() as AddressInfo).port))
  })
}

async function serve(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const peer = peerOf(request)
    const [path = '/', query] = (request.url ?? '/').split('?', 2)
    if (request.method === 'GET') await serveGet(service, { request, response, peer, path, query })
    else if (request.method === 'POST' && path.startsWith('/call/')) {
      demandManagement(peer, path)
      await service.serveCall(path.slice('/call/'.length), request, response)
    } else throw notServed(request)
  } catch (error) {
    service.logger.warn({ url: request.url, reason: describeError(error) }, 'request failed')
    answerError(response, error)
  }
}

interface GetRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly peer: Peer
  readonly path: string
  readonly query: string | undefined
}

async function serveGet(service: Service, get: GetRequest): Promise<void> {
  const { request, response, peer, path } = get
  if (path === '/hello') {
    demandManagement(peer, path)
    response.setHeader('content-type', 'application/json').end(JSON.stringify(service.hello))
    return
  }
  if (path === '/events') {
    demandManagement(peer, path)
    response.setHeader('content-type', 'application/x-ndjson')
    service.events.follow(response, positionOf(get.query))
    return
  }
  const found = findRoute(service.peerRoutes, path)
  if (found === undefined) throw notServed(request)
  demandAllowed(peer, found.route.allow, path)
  const signal = goneSignal(response)
  await found.route.serve({ path: found.rest, peer, signal }, response, request)
}

async function serveUpgrade(
  service: Service,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const path = request.url ?? '/'
  // A peer that goes away is seen by the other side of the tunnel, through joinStreams.
  socket.on('error', (error) => service.logger.debug({ path, reason: error.message }, 'tunnel failed'))
  try {
    const peer = peerOf(request)
    const found = findRoute(service.upgradeRoutes, path)
    if (found === undefined) throw notServed(request)
    demandAllowed(peer, found.route.allow, path)
    const local = await found.route.open({ path: found.rest, peer, signal: goneSignal(socket) })
    if (socket.destroyed) {
      local.destroy()
      return
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tunnel\r\n\r\n')
    if (head.length > 0) socket.unshift(head)
    joinStreams(socket, local)
  } catch (error) {
    service.logger.warn({ path, reason: describeError(error) }, 'tunnel refused')
    const body = JSON.stringify({ error: toErrorBody(error) })
    const length = Buffer.byteLength(body)
    socket.end(
      `HTTP/1.1 ${statusOf(error)} Refused\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n${body}`,
    )
  }
}

/** `after=<seq>&stream=<id>`: where the management stopped reading. */
function positionOf(query: string | undefined): { stream: string; seq: number } | undefined {
  const parameters = new URLSearchParams(query)
  const seq = Number(parameters.get('after') ?? 'none')
  return Number.isSafeInteger(seq) && seq >= 0 ? { stream: parameters.get('stream') ?? '', seq } : undefined
}

function peerOf(request: IncomingMessage): Peer {
  const socket = request.socket as TLSSocket
  const { OU, CN } = socket.getPeerCertificate().subject ?? {}
  if ((OU === 'management' || OU === 'agent') && typeof CN === 'string') return { kind: OU, name: CN }
  throw new RefusedError(
    `the certificate of ${socket.remoteAddress} is neither the management's nor an agent's`,
  )
}

function demandManagement(peer: Peer, path: string): void {
  demandAllowed(peer, [], path)
}

function demandAllowed(peer: Peer, allow: readonly Peer['kind'][], path: string): void {
  if (peer.kind === 'management' || allow.includes(peer.kind)) return
  throw new RefusedError(`the agent ${peer.name} may not use ${path}`)
}

function notServed(request: IncomingMessage): CloudError {
  return new CloudError(
    sysErrors.resourceNotFound,
    `the agent does not serve ${request.method} ${request.url}`,
  )
}

/** The peer proved who it is, and that is not enough. */
class RefusedError extends CloudError {
  constructor(details: string) {
    super(sysErrors.operationFailed, details)
  }
}

function statusOf(error: unknown): number {
  if (error instanceof RefusedError) return 403
  if (!(error instanceof CloudError)) return 500
  if (error.code === clusterErrors.staleEpoch.code) return 409
  return error.code === sysErrors.resourceNotFound.code || error.code === sysErrors.unknownMessage.code
    ? 404
    : error.code === sysErrors.invalidArgument.code
      ? 400
      : 500
}

function answerError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  // What is left of the request is not read: the connection ends with this answer.
  response.writeHead(statusOf(error), { 'content-type': 'application/json', connection: 'close' })
  response.end(`${JSON.stringify({ error: toErrorBody(error) })}\n`)
}

function goneSignal(stream: ServerResponse | Duplex): AbortSignal {
  const controller = new AbortController()
  stream.once('close', () => controller.abort(new Error('the peer has gone')))
  return controller.signal
}
