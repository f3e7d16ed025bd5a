/**
 * The HTTP server of a management node. Built on node:http, not a framework: the doors decode the whole path before matching,
 * pick an API by a key of the body and ignore content types, all of which a framework's router and parsers would have to be
 * talked out of. Without a dispatcher it has no doors and serves only the routes it is given (the console page, the UI).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConfigDefinition, Resource } from '#contract'
import { type Disposable, describeError, type Logger, Scope } from '#kernel'
import type { Dispatcher, Jobs, ReadinessCheck } from '#plugin-host'
import { readJsonBody } from './body.ts'
import { createDoors, type Doors } from './doors.ts'
import { HttpFailure, type HttpReply, jsonReply, textReply } from './reply.ts'

/** Where to listen: an address, or a socket inherited from whoever started this process. */
export type ListenTarget = { readonly port: number; readonly host?: string } | { readonly fd: number }

/** A path that is served outside the API. `path` is exact, or a prefix when it ends in `/*`. */
export interface RawRoute {
  readonly method: string
  readonly path: string
  handler(request: IncomingMessage, response: ServerResponse): void | Promise<void>
}

export interface UpgradeRoute {
  readonly path: string
  handler(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

export interface HttpServerOptions {
  readonly log: Logger
  /** With `jobs`: the API doors are served. */
  readonly dispatcher?: Dispatcher
  readonly jobs?: Jobs
  /** IP or name under which clients reach this node, without port. */
  readonly advertisedAddress?: string
  readonly staticRoutes?: readonly RawRoute[]
  readonly upgradeRoutes?: readonly UpgradeRoute[]
  /** Resources that no Query API names; those that one names are known anyway. */
  readonly resources?: readonly Resource[]
  readonly configs?: readonly ConfigDefinition[]
  readonly version?: string
  /** What must be well, besides that the node serves, for `/readyz` to say so. */
  readonly readinessChecks?: readonly ReadinessCheck[]
  /** Calls in flight beyond which new ones are refused with 503. */
  readonly maxInFlight?: number
  /** Waits between attempts of web hooks, for tests. */
  readonly webHookWait?: (ms: number, signal: AbortSignal) => Promise<unknown>
}

export interface HttpServer extends Disposable {
  /** Resolves with the port when the server accepts connections. */
  listen(target: ListenTarget): Promise<{ readonly port: number }>
}

const MAX_HEADER_BYTES = 64 * 1024
const KEEP_ALIVE_MS = 75_000
const DRAIN_MS = 5_000

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const scope = new Scope()
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: KEEP_ALIVE_MS })
  const { dispatcher, jobs } = options
  const port = () => (server.address() as AddressInfo | null)?.port ?? 0
  const doors =
    dispatcher === undefined || jobs === undefined
      ? undefined
      : scope.add(createDoors({ ...options, dispatcher, jobs, port }))
  const upgraded = new Set<Duplex>()
  server.on('request', (request, response) => {
    serve(options, doors, request, response).catch((error) => fail(options.log, error, response))
  })
  server.on('upgrade', (request, socket, head) => upgrade(options, { request, socket, head }, upgraded))
  return {
    listen: (target) => listen(server, target),
    dispose: async () => {
      for (const socket of upgraded) socket.destroy()
      await close(server)
      await scope.dispose()
    },
  }
}

function listen(server: Server, target: ListenTarget): Promise<{ port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ ...target }, () => {
      server.off('error', reject)
      resolve({ port: (server.address() as AddressInfo | null)?.port ?? 0 })
    })
  })
}

/** Lets answers under way finish, then cuts what is left. */
async function close(server: Server): Promise<void> {
  if (!server.listening) return
  const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
  })
  clearTimeout(timer)
}

async function serve(
  options: HttpServerOptions,
  doors: Doors | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { path, segments, query } = splitUrl(request.url ?? '/')
  const method = request.method ?? 'GET'
  const sameMethod = (route: RawRoute) => route.method === (method === 'HEAD' ? 'GET' : method)
  const raw = (options.staticRoutes ?? []).filter((route) => covers(route.path, path)).find(sameMethod)
  if (raw !== undefined) return raw.handler(request, response)
  if (path === '/healthz') return send(response, alive())
  const door = doors?.find(path)
  if (door === undefined) throw new HttpFailure(404, `nothing is served at ${path}`)
  const header = (name: string) => request.headers[name]?.toString()
  const json = () => readJsonBody(request)
  const reply = await door.handle({
    method,
    path: path.slice(door.prefix.length),
    segments: segments.slice(door.prefix.split('/').length),
    query,
    clientIp: clientIp(request),
    header,
    json,
  })
  send(response, reply)
}

/** That this is answered is the answer: the process lives, and its event loop turns. */
function alive(): HttpReply {
  return jsonReply(200, { alive: true, upSeconds: Math.floor(process.uptime()) })
}

interface SplitUrl {
  readonly path: string
  readonly segments: readonly string[]
  readonly query: string
}

function splitUrl(url: string): SplitUrl {
  const at = url.indexOf('?')
  const raw = at < 0 ? url : url.slice(0, at)
  try {
    const segments = raw.split('/').map(decodeURIComponent)
    return { path: segments.join('/'), segments, query: at < 0 ? '' : url.slice(at + 1) }
  } catch {
    throw new HttpFailure(400, 'the path holds a malformed percent escape')
  }
}

function covers(pattern: string, path: string): boolean {
  return pattern.endsWith('/*') ? path.startsWith(pattern.slice(0, -1)) : pattern === path
}

// For the audit only: anybody can write these headers.
function clientIp(request: IncomingMessage): string {
  const forwarded = request.headers['x-forwarded-for']?.toString().split(',')[0]?.trim()
  const real = forwarded || request.headers['x-real-ip']?.toString().trim()
  return (real || request.socket.remoteAddress || '').slice(0, 64)
}

function send(response: ServerResponse, reply: HttpReply): void {
  response.writeHead(reply.status, {
    'Content-Type': `${reply.contentType};charset=utf-8`,
    'Content-Length': Buffer.byteLength(reply.body),
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
    ...reply.headers,
  })
  response.end(reply.body)
}

function fail(log: Logger, error: unknown, response: ServerResponse): void {
  if (!(error instanceof HttpFailure)) {
    const stack = error instanceof Error ? error.stack : undefined
    log.error({ err: describeError(error), stack }, 'a request failed by a bug')
  }
  if (response.headersSent) {
    response.destroy()
    return
  }
  const internal = 'an internal error happened; the log of the management node has the details'
  const known = error instanceof HttpFailure
  send(response, known ? textReply(error.status, error.message, error.headers) : textReply(500, internal))
}

function upgrade(
  options: HttpServerOptions,
  at: { request: IncomingMessage; socket: Duplex; head: Buffer },
  upgraded: Set<Duplex>,
): void {
  const { socket, request, head } = at
  upgraded.add(socket)
  socket.on('close', () => upgraded.delete(socket))
  // A peer that drops its connection is no news; without a listener it would end the process.
  socket.on('error', () => socket.destroy())
  try {
    const { path } = splitUrl(request.url ?? '/')
    const route = (options.upgradeRoutes ?? []).find((r) => covers(r.path, path))
    if (route !== undefined) route.handler(request, socket, head)
    else socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  } catch (error) {
    options.log.warn({ err: describeError(error) }, 'an upgrade of a connection failed')
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  }
}
