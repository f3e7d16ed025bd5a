/**
 * The one error type that crosses layers. `code` is a public code of the original (`SYS.1007`) and decides what a
 * client does; `details` is written for the person who has to act. A `cause` is kept and shown as its own level,
 * never pasted into the message. Anything else that is thrown is a bug and ends as SYS.1000 with a log line.
 */
export class CloudError extends Error {
  readonly code: string
  readonly description: string
  readonly details: string
  /** Machine-readable context, shown to clients; never secrets. */
  readonly opaque: Readonly<Record<string, unknown>> | undefined
  /** Seconds after which a retry makes sense, when the failure is a matter of load. */
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, details: string, options: CloudErrorOptions = {}) {
    super(`${code.code} ${details}`, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CloudError'
    this.code = code.code
    this.description = code.description
    this.details = details
    this.opaque = options.opaque
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

interface CloudErrorOptions {
  readonly cause?: unknown
  readonly opaque?: Readonly<Record<string, unknown>>
  readonly retryAfterSeconds?: number
}

/** A public error code with its fixed description. */
export interface ErrorCode {
  readonly code: string
  readonly description: string
}

/** Declares a public error code. */
export function defineError(code: string, description: string): ErrorCode {
  return { code, description }
}

/** Codes every part may raise. */
export const sysErrors = {
  internal: defineError('SYS.1000', 'An internal error happened in system'),
  timeout: defineError('SYS.1001', 'An operation timeout happened'),
  createResource: defineError('SYS.1002', 'Failed to create the resource'),
  resourceNotFound: defineError('SYS.1003', 'Can not find the resource'),
  deleteResource: defineError('SYS.1004', 'Failed to delete the resource'),
  changeState: defineError('SYS.1005', 'Failed to change the state of the resource'),
  operationFailed: defineError('SYS.1006', 'The operation failed'),
  invalidArgument: defineError('SYS.1007', 'One or more API argument is invalid'),
  unknownMessage: defineError('SYS.1008', 'The message is not known'),
  noRoute: defineError('SYS.1009', 'No service can take the message'),
  notReady: defineError('SYS.1010', 'The management node is not ready yet'),
  nodeUnavailable: defineError('SYS.1012', 'The management node that owns the resource is away; retry'),
  noCapability: defineError('SYS.1013', 'The resource lacks the capability'),
  httpError: defineError('SYS.1015', 'An HTTP request failed'),
  ioError: defineError('SYS.1016', 'A network or disk operation failed'),
  cancelled: defineError('SYS.1017', 'The operation was cancelled'),
} as const

/** Codes of several management nodes working together; each says what a caller may do. */
export const clusterErrors = {
  staleEpoch: defineError('CLUSTER.1001', 'The management node acted on an outdated membership'),
  ownerMoved: defineError('CLUSTER.1002', 'The owner of the resource is changing; retry'),
  nodeGone: defineError('CLUSTER.1003', 'The management node that worked on the call died; look and retry'),
  fenced: defineError('CLUSTER.1004', 'The management node was declared dead and may not act'),
} as const

/** The refusal of a creation whose chosen uuid names something already. */
export function uuidTaken(kind: string, uuid: string): CloudError {
  const details = `field[resourceUuid]: a ${kind} with the uuid ${uuid} exists already; choose another, or leave the choice to the server`
  return new CloudError(sysErrors.invalidArgument, details, { opaque: { field: 'resourceUuid' } })
}

/** The wire form of an error, nested through its causes. Non-CloudErrors are shown as internal errors. */
export interface ErrorBody {
  code: string
  description: string
  details: string
  cause?: ErrorBody
  opaque?: Readonly<Record<string, unknown>>
  retryAfterSeconds?: number
}

// A chain of causes may be a circle by mistake; nobody reads further than this.
const MAX_CAUSES = 20

/** Turns anything thrown into its wire form. */
export function toErrorBody(error: unknown): ErrorBody {
  return bodyOf(error, MAX_CAUSES)
}

function bodyOf(error: unknown, causesLeft: number): ErrorBody {
  const body: ErrorBody =
    error instanceof CloudError
      ? { code: error.code, description: error.description, details: error.details }
      : { ...sysErrors.internal, details: wordsOf(error) }
  if (error instanceof CloudError && error.opaque !== undefined) body.opaque = error.opaque
  if (error instanceof CloudError && error.retryAfterSeconds !== undefined)
    body.retryAfterSeconds = error.retryAfterSeconds
  const cause = error instanceof Error ? error.cause : undefined
  if (cause !== undefined && causesLeft > 0) body.cause = bodyOf(cause, causesLeft - 1)
  return body
}

/** Rebuilds the error a peer sent in its wire form, with the peer's words kept as they are. */
export function fromErrorBody(body: ErrorBody): CloudError {
  return new CloudError(body, body.details, {
    ...(body.cause === undefined ? {} : { cause: fromErrorBody(body.cause) }),
    ...(body.opaque === undefined ? {} : { opaque: body.opaque }),
    ...(body.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: body.retryAfterSeconds }),
  })
}

/** Anything may be thrown, also what has no text form. */
function wordsOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message
  try {
    return String(thrown)
  } catch {
    return Object.prototype.toString.call(thrown)
  }
}

/** The whole story of an error on one line: details, then each cause. */
export function describeError(error: unknown): string {
  const parts: string[] = []
  let e = error
  do {
    parts.push(e instanceof CloudError ? e.details : wordsOf(e))
    e = e instanceof Error ? e.cause : undefined
  } while (e !== undefined && parts.length <= MAX_CAUSES)
  return parts.join(': ')
}
