import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import { getCACertificates } from 'node:tls'
import { CloudError, sysErrors } from '#kernel'
import type { PinnedAddress } from './resolve-pinned.ts'
import { shownUrl } from './shown-url.ts'

interface PinnedRequest {
  readonly url: URL
  /** The only addresses that are connected to. Host header and TLS name stay those of the URL. */
  readonly addresses: readonly PinnedAddress[]
  /** `user:password` */
  readonly credentials: string | undefined
  readonly authorities: readonly string[] | undefined
  readonly idleTimeoutMs: number
  readonly signal: AbortSignal
  /** Why an address must not be talked to. */
  readonly judge: (address: string) => string | undefined
}

/** Sends a GET to one of the judged addresses and gives the response, whose body fails on silence, cut-off and abort. */
export function requestPinned(pinned: PinnedRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = pinned.url.protocol === 'https:' ? httpsRequest : httpRequest
    const outgoing = request(optionsFor(pinned))
    let response: IncomingMessage | undefined
    outgoing.setTimeout(pinned.idleTimeoutMs, () => {
      const error = silence(pinned)
      // The body first: destroyed through the request it would only say "aborted".
      response?.destroy(error)
      outgoing.destroy(error)
    })
    outgoing.on('error', (error) => reject(explainFetch(error, pinned.url, pinned.signal)))
    outgoing.on('response', (incoming) => {
      response = incoming
      // Errors may come before anybody reads; the reader sees them all the same.
      incoming.on('error', () => {})
      const peer = incoming.socket.remoteAddress ?? ''
      // The pinned lookup cannot give another address; should a future runtime bypass it, nothing is read.
      const why = pinned.judge(peer)
      if (why === undefined) return resolve(incoming)
      outgoing.destroy(new CloudError(sysErrors.invalidArgument, `${peer} answered, and ${why}`))
    })
    outgoing.end()
  })
}

function optionsFor({ url, addresses, credentials, authorities, signal }: PinnedRequest): RequestOptions {
  const isTls = url.protocol === 'https:'
  const hostname = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  return {
    protocol: url.protocol,
    hostname,
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    path: `${url.pathname}${url.search}`,
    method: 'GET',
    // No pooled connection: one that was opened for another judgement must not be used again.
    agent: false,
    lookup: pinnedLookup(addresses),
    signal,
    headers: {
      host: url.host,
      accept: '*/*',
      'accept-encoding': 'identity',
      'user-agent': 'zstack-backup-storage',
      connection: 'close',
    },
    ...(credentials === undefined ? {} : { auth: credentials }),
    ...(isTls ? { ca: [...(authorities ?? systemAuthorities())], rejectUnauthorized: true } : {}),
  }
}

function systemAuthorities(): string[] {
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])]
}

function pinnedLookup(addresses: readonly PinnedAddress[]): LookupFunction {
  return (_hostname, options, callback) => {
    if (options.all === true) return callback(null, [...addresses])
    const first = addresses[0]
    if (first === undefined) return callback(new Error('no address'), '', 4)
    callback(null, first.address, first.family)
  }
}

function silence({ url, idleTimeoutMs }: PinnedRequest): CloudError {
  return new CloudError(sysErrors.timeout, `${shownUrl(url)} was silent for ${idleTimeoutMs} ms; given up`)
}

/** What a failed fetch is called; never with the credentials of the URL. */
export function explainFetch(error: unknown, url: URL, signal: AbortSignal): CloudError {
  if (error instanceof CloudError) return error
  if (!signal.aborted) {
    return new CloudError(sysErrors.ioError, `the transfer from ${shownUrl(url)} failed`, { cause: error })
  }
  const isTimeout = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError'
  if (isTimeout)
    return new CloudError(sysErrors.timeout, `${shownUrl(url)} was not fetched within the time allowed`)
  return new CloudError(sysErrors.cancelled, `fetching ${shownUrl(url)} was cancelled`)
}
