import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { CloudError, sysErrors } from '#kernel'
import type { TlsIdentity } from './ca.ts'
import { explainFailure, type Target, wrongAgent } from './client-errors.ts'

export interface WireOptions {
  readonly address: string
  readonly port: number
  /** The agent meant. Left out (agents dial each other by address only) the certificate must carry the address. */
  readonly uuid?: string
  readonly tls: TlsIdentity
  /** How long making a connection may take, 10 s when not said. */
  readonly connectTimeoutMs?: number
}

export interface Outgoing {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string
  /** Uses a connection of its own, not one of the pool. */
  readonly alone?: boolean
}

/** One agent's connections, and what its failures are called. */
export interface Wire {
  send(outgoing: Outgoing, signal: AbortSignal): Promise<IncomingMessage & { tunnel?: Duplex }>
  explain(error: unknown, what: string): unknown
  /** Runs `work` under a deadline and the caller's own signal, and names what failed. */
  within<T>(
    what: { readonly name: string; readonly timeoutMs: number },
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T>
  close(): void
}

const contexts = new WeakMap<TlsIdentity, SecureContext>()

/** One for all connections of an identity: each is 100 KB of parsed certificates, and a cloud has thousands of agents. */
function contextOf(identity: TlsIdentity): SecureContext {
  let context = contexts.get(identity)
  if (context === undefined) {
    const { ca, cert, key } = identity
    context = createSecureContext({ ca, cert, key, minVersion: 'TLSv1.3' })
    contexts.set(identity, context)
  }
  return context
}

/** The connections to one agent: a pool of kept ones, made when first used. */
export function createWire(options: WireOptions): Wire {
  const { address, port, uuid, tls } = options
  const target: Target = { address, port, uuid }
  const connection = {
    host: address,
    port,
    secureContext: contextOf(tls),
    ...(isIP(address) === 0 ? { servername: address } : { servername: '' }),
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => identify(target, certificate),
  }
  const pool = new Agent({ keepAlive: true, maxSockets: 256, maxFreeSockets: 8, scheduling: 'lifo' })
  const connectMs = options.connectTimeoutMs ?? 10_000
  const explain = (error: unknown, what: string) => explainFailure(error, target, what)
  return {
    explain,
    send: (outgoing, signal) => {
      const { method, path, headers = {} } = outgoing
      const agent = outgoing.alone ? false : pool
      return exchange({ ...connection, method, path, headers, agent, signal }, connectMs, outgoing.body)
    },
    within: async (what, outer, work) => {
      const deadline = new AbortController()
      const onOuter = () => deadline.abort(cancelled(what.name))
      const timer = setTimeout(() => deadline.abort(timedOut(target, what)), what.timeoutMs)
      if (outer?.aborted) onOuter()
      outer?.addEventListener('abort', onOuter, { once: true })
      try {
        return await work(deadline.signal)
      } catch (error) {
        throw deadline.signal.aborted ? deadline.signal.reason : explain(error, what.name)
      } finally {
        clearTimeout(timer)
        outer?.removeEventListener('abort', onOuter)
      }
    },
    close: () => pool.destroy(),
  }
}

function exchange(
  options: RequestOptions & { readonly signal: AbortSignal },
  connectMs: number,
  body: string | undefined,
): Promise<IncomingMessage & { tunnel?: Duplex }> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(options)
    request.once('error', reject)
    request.once('response', resolve)
    request.once('upgrade', (response, socket, head) => {
      if (head.length > 0) socket.unshift(head)
      resolve(Object.assign(response, { tunnel: socket }))
    })
    limitConnecting(request, connectMs)
    request.end(body)
  })
}

/** A host without power answers nothing at all: connecting gets its own, short limit. */
function limitConnecting(request: ClientRequest, connectMs: number): void {
  request.once('socket', (socket) => {
    const tlsSocket = socket as TLSSocket
    if (request.reusedSocket) return
    const timer = setTimeout(() => {
      const details = `no connection within ${connectMs} ms`
      request.destroy(Object.assign(new Error(details), { code: 'ETIMEDOUT' }))
    }, connectMs)
    const stop = () => clearTimeout(timer)
    tlsSocket.once('secureConnect', () => {
      stop()
      // A host that loses power in the middle of a long call is noticed within half a minute.
      tlsSocket.setKeepAlive(true, 10_000)
    })
    tlsSocket.once('close', stop)
  })
}

function identify(target: Target, certificate: PeerCertificate): Error | undefined {
  const { CN, OU } = certificate.subject
  if (OU !== 'agent') return wrongAgent(`its certificate is for ${OU ?? 'nobody we know'}, not for an agent`)
  if (target.uuid !== undefined) {
    return CN === target.uuid ? undefined : wrongAgent(`it is the agent of ${CN}, not of ${target.uuid}`)
  }
  const mismatch = checkServerIdentity(target.address, certificate)
  return mismatch && wrongAgent(mismatch.message)
}

function cancelled(name: string): CloudError {
  return new CloudError(sysErrors.cancelled, `${name} was cancelled by its caller`)
}

function timedOut(target: Target, what: { readonly name: string; readonly timeoutMs: number }): CloudError {
  const where = `the agent at ${target.address}:${target.port}`
  return new CloudError(sysErrors.timeout, `${where} did not answer ${what.name} within ${what.timeoutMs} ms`)
}
