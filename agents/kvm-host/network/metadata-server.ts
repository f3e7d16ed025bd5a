import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Logger } from '#kernel'
import { METADATA_ADDRESS } from './flat-names.ts'
import type { FlatNetwork, Lease } from './flat-network-spec.ts'
import { answerMetadata } from './metadata-tree.ts'
import { listenInNamespace } from './netns-socket.ts'

/** Who asks from `ip`: read at each request, so that a changed lease counts at once. */
export type FindLease = (ip: string) => { network: FlatNetwork; lease: Lease } | undefined

const TOKEN_PATH = /^\/[\w.-]+\/api\/token$/
const TTL_HEADER = 'x-aws-ec2-metadata-token-ttl-seconds'
const MAX_TTL_SECONDS = 21_600
const MAX_CONNECTIONS = 512
const MAX_CONNECTIONS_OF_ONE_VM = 32

/** The metadata service of one network: one listening socket inside its namespace. */
export class MetadataServer {
  readonly #server: Server
  readonly #namespaceId: string

  private constructor(server: Server, namespaceId: string) {
    this.#server = server
    this.#namespaceId = namespaceId
  }

  /** Starts listening on 169.254.169.254:80 inside the namespace. Throws SYS.1016. */
  static async start(namespacePath: string, findLease: FindLease, log: Logger): Promise<MetadataServer> {
    const namespaceId = identify(namespacePath)
    const server = createServer((request, response) => respond(request, response, findLease))
    server.maxConnections = MAX_CONNECTIONS
    server.headersTimeout = 10_000
    server.requestTimeout = 20_000
    limitPerAddress(server)
    server.on('error', (err) => log.error({ err, namespacePath }, 'metadata service failed'))
    const fd = listenInNamespace(namespacePath, METADATA_ADDRESS, 80)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ fd }, () => {
        server.off('error', reject)
        resolve()
      })
    })
    return new MetadataServer(server, namespaceId)
  }

  /** False when the namespace of that path is another one than this server listens in, because it was made anew. */
  servesNamespace(namespacePath: string): boolean {
    return this.#namespaceId === identify(namespacePath)
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }
}

function identify(namespacePath: string): string {
  const { dev, ino } = statSync(namespacePath)
  return `${dev}:${ino}`
}

/** One guest must not be able to take all connections of its network. */
function limitPerAddress(server: Server): void {
  const open = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    const count = (open.get(address) ?? 0) + 1
    open.set(address, count)
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1
      if (left === 0) open.delete(address)
      else open.set(address, left)
    })
    if (count > MAX_CONNECTIONS_OF_ONE_VM) socket.destroy()
  })
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
}

function respond(request: IncomingMessage, response: ServerResponse, findLease: FindLease): void {
  // Bodies are never wanted; reading them away keeps the connection usable.
  request.resume()
  const { status, body, type = 'text/plain', headers = {} } = answerRequest(request, findLease)
  const bytes = Buffer.from(body)
  response.writeHead(status, {
    ...headers,
    'content-type': type,
    'content-length': bytes.length,
    server: 'EC2ws',
  })
  response.end(bytes)
}

function answerRequest(request: IncomingMessage, findLease: FindLease): Answer {
  const path = (request.url ?? '/').split('?')[0] ?? '/'
  const asker = findLease(request.socket.remoteAddress ?? '')
  if (asker === undefined) {
    return { status: 404, body: 'no VM of this network has the address you ask from\n' }
  }
  if (request.method === 'PUT' && TOKEN_PATH.test(path)) return answerToken(request)
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, body: 'only GET is served here\n', headers: { allow: 'GET, HEAD' } }
  }
  const answer = answerMetadata(asker.network, asker.lease, path)
  return answer === undefined ? { status: 404, body: 'not found\n' } : { status: 200, ...answer }
}

/** Session tokens of IMDSv2. Given to who asks, as its clients insist; not demanded, as the source address decides. */
function answerToken(request: IncomingMessage): Answer {
  const ttl = Number(request.headers[TTL_HEADER])
  if (!Number.isInteger(ttl) || ttl < 1 || ttl > MAX_TTL_SECONDS) {
    return { status: 400, body: `header ${TTL_HEADER} must be 1 to ${MAX_TTL_SECONDS}\n` }
  }
  // A request that came through a proxy inside the guest may be a forged one: EC2 refuses it for the same reason.
  if (request.headers['x-forwarded-for'] !== undefined) return { status: 403, body: 'forwarded request\n' }
  const token = randomBytes(40).toString('base64')
  return { status: 200, body: token, headers: { [TTL_HEADER]: String(ttl) } }
}
