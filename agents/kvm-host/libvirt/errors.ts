import { CloudError, sysErrors } from '#kernel'

/** Numbers of libvirt's errors this agent tells apart (virErrorNumber). */
export const libvirtCodes = {
  noSupport: 3,
  noDomain: 42,
} as const

/** What libvirt told about one failed call. */
export interface LibvirtFailure {
  readonly code: number
  readonly domain: number
  readonly message: string
}

/**
 * The error of a failed libvirt call: `what` names the attempt ("start VM …"), the rest is libvirt's own message. Without
 * a message (libvirt gave none) it says so; it never borrows the message of another call.
 */
export function libvirtError(what: string, failure: LibvirtFailure | undefined): CloudError {
  const why = failure === undefined ? 'libvirt gave no reason' : `libvirt says: ${failure.message}`
  return new CloudError(sysErrors.operationFailed, `cannot ${what}; ${why}`, {
    opaque: failure === undefined ? {} : { libvirtCode: failure.code, libvirtDomain: failure.domain },
  })
}

/** libvirt's number of an error made by libvirtError, undefined for anything else. */
export function libvirtCodeOf(error: unknown): number | undefined {
  const code = error instanceof CloudError ? error.opaque?.libvirtCode : undefined
  return typeof code === 'number' ? code : undefined
}
