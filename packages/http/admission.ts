import { CloudError, sysErrors } from '#kernel'
import type { JobResult, Jobs } from '#plugin-host'

/**
 * Bounds the calls that are being answered, so that a flood is refused early and cheaply instead of slowing every call down. A job
 * counts until it is accepted: how many may be unfinished is the dispatcher's to say. Polling, health checks and static files never count.
 */
export interface Admission {
  /** Throws a CloudError with `retryAfterSeconds` when full; else call what it returns, once, when the call ends. */
  enter(): () => void
  readonly inFlight: number
}

export function createAdmission(maxInFlight: number): Admission {
  let inFlight = 0
  return {
    enter: () => {
      if (inFlight >= maxInFlight) {
        const details = `the management node has ${inFlight} API calls to answer and takes no more; repeat the call in a second`
        throw new CloudError(sysErrors.operationFailed, details, { retryAfterSeconds: 1 })
      }
      inFlight += 1
      return () => {
        inFlight -= 1
      }
    },
    get inFlight() {
      return inFlight
    },
  }
}

/** Waits for the end of a job, whether it still runs or not. Undefined when nothing is known of it. */
export async function jobResult(jobs: Jobs, jobUuid: string): Promise<JobResult | undefined> {
  try {
    return await jobs.done(jobUuid)
  } catch {
    // It does not run (any more): its result is recorded.
    return (await jobs.status(jobUuid))?.result
  }
}
