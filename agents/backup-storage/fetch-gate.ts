/**
 * The one way by which this agent fetches what a user names. It decides what may be reached, connects to the very address it
 * judged (a name that resolves differently a moment later changes nothing), and starts over for each redirect.
 */
import type { Readable } from 'node:stream'
import { CloudError, sysErrors } from '#kernel'
import { refusalOf } from './address-policy.ts'
import { openFileUrl } from './file-source.ts'
import { explainFetch, requestPinned } from './pinned-request.ts'
import { type Resolve, resolvePinned, systemResolve } from './resolve-pinned.ts'
import { shownUrl } from './shown-url.ts'

export interface GatePolicy {
  /** Lets http(s) URLs lead to loopback, private and unique-local addresses. Link-local stays refused. */
  readonly allowPrivateAddresses: boolean
  /** Directories file: URLs may lie in. */
  readonly filePrefixes: readonly string[]
  readonly maxBytes: number
}

export interface GateLimits {
  readonly maxRedirects: number
  /** Silence on the connection after which a fetch is given up. */
  readonly idleTimeoutMs: number
  readonly totalTimeoutMs: number
}

export const defaultGateLimits: GateLimits = {
  maxRedirects: 5,
  idleTimeoutMs: 60_000,
  totalTimeoutMs: 3 * 3600_000,
}

export interface GateDeps {
  readonly limits?: GateLimits
  /** Name resolution; the system's when not said. */
  readonly resolve?: Resolve
  /** Certificates https servers may be signed by; the built-in and the system's when not said. */
  readonly authorities?: readonly string[]
}

export interface FetchedSource {
  readonly stream: Readable
  /** What the server announced; a stream that ends elsewhere is an error. */
  readonly sizeBytes: number | undefined
  /** Names what made the stream fail, without secrets. */
  explain(error: unknown): CloudError
}

export type FetchGate = (url: string, policy: GatePolicy, signal: AbortSignal) => Promise<FetchedSource>

/** Makes a gate. It refuses with SYS.1007, fails with SYS.1015 (server's fault) or SYS.1016 (network's), and names no secrets. */
export function createFetchGate(deps: GateDeps = {}): FetchGate {
  const limits = deps.limits ?? defaultGateLimits
  const resolve = deps.resolve ?? systemResolve
  return async (url, policy, signal) => {
    const parsed = parseUrl(url)
    if (parsed.protocol === 'file:') return openFileUrl(parsed, policy)
    const route = { limits, resolve, policy, signal, authorities: deps.authorities }
    return followRedirects(parsed, route)
  }
}

interface FetchRoute {
  readonly limits: GateLimits
  readonly resolve: Resolve
  readonly policy: GatePolicy
  readonly signal: AbortSignal
  readonly authorities: readonly string[] | undefined
}

async function followRedirects(first: URL, route: FetchRoute): Promise<FetchedSource> {
  const deadline = AbortSignal.timeout(route.limits.totalTimeoutMs)
  const signal = AbortSignal.any([route.signal, deadline])
  let url = first
  for (let redirects = 0; ; redirects += 1) {
    const addresses = await resolvePinned(url, route.resolve, route.policy.allowPrivateAddresses)
    const response = await requestPinned({
      url,
      addresses,
      // Credentials are for the place the user wrote them for and no other.
      credentials: url.origin === first.origin ? credentialsOf(first) : undefined,
      authorities: route.authorities,
      idleTimeoutMs: route.limits.idleTimeoutMs,
      signal,
      judge: (address) => refusalOf(address, route.policy.allowPrivateAddresses),
    })
    const { statusCode = 0, headers } = response
    if (REDIRECTS.has(statusCode) && headers.location !== undefined) {
      response.destroy()
      if (redirects === route.limits.maxRedirects) {
        throw refused(first, `it redirects more than ${route.limits.maxRedirects} times`)
      }
      url = redirectTarget(url, headers.location)
      continue
    }
    const sizeBytes = acceptBody(url, response, route.policy.maxBytes)
    return { stream: response, sizeBytes, explain: (error) => explainFetch(error, url, signal) }
  }
}

const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** The size announced; throws when the answer is none we take. */
function acceptBody(
  url: URL,
  response: Awaited<ReturnType<typeof requestPinned>>,
  maxBytes: number,
): number | undefined {
  const fail = (error: CloudError): never => {
    response.destroy()
    throw error
  }
  if (response.statusCode !== 200) {
    const status = `${response.statusCode} ${response.statusMessage ?? ''}`.trim()
    fail(new CloudError(sysErrors.httpError, `${shownUrl(url)} was answered with ${status} instead of 200`))
  }
  const encoding = response.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity')
    fail(refused(url, `the server sends it ${encoding}-encoded, though asked not to`))
  const announced = response.headers['content-length']
  const sizeBytes = announced === undefined ? undefined : Number(announced)
  if (sizeBytes !== undefined && sizeBytes > maxBytes) {
    fail(refused(url, `it has ${sizeBytes} bytes, more than the ${maxBytes} allowed`))
  }
  return sizeBytes
}

function parseUrl(text: string): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    // The parser's own error would repeat the text, credentials and all.
    throw new CloudError(sysErrors.invalidArgument, 'the URL of the image is not a valid URL')
  }
  if (!['http:', 'https:', 'file:'].includes(url.protocol)) {
    throw refused(url, `its scheme is ${url.protocol.slice(0, -1)}; only http, https and file are fetched`)
  }
  return url
}

function redirectTarget(from: URL, location: string): URL {
  let to: URL
  try {
    to = new URL(location, from)
  } catch {
    throw refused(from, 'it redirects to something that is not a URL')
  }
  if (to.protocol !== 'http:' && to.protocol !== 'https:') {
    throw refused(from, `it redirects to a ${to.protocol.slice(0, -1)} URL; only http and https are followed`)
  }
  if (from.protocol === 'https:' && to.protocol === 'http:') {
    throw refused(
      from,
      `it redirects from https to plain http (${shownUrl(to)}); give that URL if it is what you want`,
    )
  }
  return to
}

function credentialsOf(url: URL): string | undefined {
  if (url.username === '' && url.password === '') return undefined
  try {
    return `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  } catch {
    // The cause would carry the credentials.
    throw refused(url, 'its credentials are not percent-encoded as a URL demands')
  }
}

function refused(url: URL, why: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `${shownUrl(url)} is not fetched: ${why}`)
}
