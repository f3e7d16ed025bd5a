import { CloudError, clusterErrors, sysErrors } from '#kernel'

/** What an error about a call to another node names. */
interface Asked {
  readonly node: string
  readonly message: string
}

export function notThere({ node, message }: Asked): CloudError {
  const details = `${message} was not begun: the management node ${node} is not in the cluster`
  return new CloudError(clusterErrors.nodeGone, details)
}

export function gone({ node, message }: Asked): CloudError {
  const details = `the management node ${node} died while it worked on ${message}; what it had begun is taken back or finished by another`
  return new CloudError(clusterErrors.nodeGone, details)
}

export function stopped({ message }: Asked): CloudError {
  return new CloudError(sysErrors.notReady, `the management node stopped before ${message} was answered`)
}

export function tooMany({ node }: Asked, limit: number): CloudError {
  const details = `${limit} calls to other management nodes are unanswered, the last to ${node}; try again in a moment`
  return new CloudError(sysErrors.nodeUnavailable, details, { retryAfterSeconds: 2 })
}

/** Whether what was not answered in time had been begun over there. */
export type Begun = 'yes' | 'no' | 'unknown'

const meaning: Readonly<Record<Begun, string>> = {
  yes: 'it had begun it and goes on; look at the resource before you repeat it',
  no: 'it had not begun it and will not; it may be repeated',
  unknown: 'it does not say whether it has begun it; look at the resource before you repeat it',
}

export function timedOut({ node, message }: Asked, afterMs: number, begun: Begun): CloudError {
  const details = `the management node ${node} has not answered ${message} within ${seconds(afterMs)} s: ${meaning[begun]}`
  return new CloudError(sysErrors.timeout, details, {
    opaque: { node, message, afterMs: Math.round(afterMs), begun },
  })
}

/** The time of the call it is part of was up before it could be sent. */
export function noTimeLeft({ node, message }: Asked): CloudError {
  const details = `${message} was not sent to the management node ${node}: the time of the call it is part of is up`
  return new CloudError(sysErrors.timeout, details, { opaque: { node, message, afterMs: 0, begun: 'no' } })
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10
}
