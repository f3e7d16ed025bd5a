import { CloudError, sysErrors } from '#kernel'

/** The agent a client means. */
export interface Target {
  readonly address: string
  readonly port: number
  readonly uuid: string | undefined
}

const WRONG_AGENT = 'WRONG_AGENT'

/** The server's certificate is good, but it is somebody else's. */
export function wrongAgent(reason: string): Error {
  return Object.assign(new Error(reason), { code: WRONG_AGENT })
}

/** True when the connection was closed before a byte of the answer came: the same call id may be sent again. */
export function isClosedEarly(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ECONNRESET' || code === 'EPIPE'
}

/** What a person has to know about a failed exchange. Errors the agent itself answered with are kept as they are. */
export function explainFailure(error: unknown, target: Target, what: string): unknown {
  if (error instanceof CloudError) return error
  const where = `${target.address}:${target.port}`
  const code = codeOf(error)
  const reason = error instanceof Error ? error.message : String(error)
  if (code === 'ETIMEDOUT') {
    const details = `cannot reach the agent at ${where} for ${what}: ${reason}; is the host up and the port open?`
    return new CloudError(sysErrors.timeout, details, { cause: error })
  }
  return new CloudError(sysErrors.ioError, ioDetails(code, { where, what, reason }), { cause: error })
}

function ioDetails(code: string, of: { where: string; what: string; reason: string }): string {
  const { where, what, reason } = of
  if (code === 'ECONNREFUSED')
    return `no agent listens at ${where} (connection refused) for ${what}; is it running?`
  if (code === WRONG_AGENT) return `the agent at ${where} is not the one meant for ${what}: ${reason}`
  if (code.startsWith('ERR_SSL') && code.includes('ALERT')) {
    return `the agent at ${where} refused our certificate for ${what}; deploy the agent again`
  }
  if (CERTIFICATE_CODES.has(code)) {
    return `the certificate of the agent at ${where} is not from our authority or not valid now (${reason}) for ${what}`
  }
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    return `the agent at ${where} closed the connection before it answered ${what}`
  }
  if (code === 'TRUNCATED') return `the agent at ${where} broke off its answer to ${what}`
  return `cannot reach the agent at ${where} for ${what}: ${reason}`
}

const CERTIFICATE_CODES = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
])

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : ''
}
