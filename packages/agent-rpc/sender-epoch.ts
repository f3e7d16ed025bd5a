import { CloudError, clusterErrors } from '#kernel'

/** What a management node that is one of several shows to agents. Without it a call counts as one of epoch 0. */
export interface SenderEpoch {
  /** The epoch of the cluster as this node knows it now. */
  readonly epoch?: () => number
  /** Reads it anew, and throws when this node is no member any more. Called when an agent has seen a higher one. */
  readonly renewEpoch?: () => Promise<unknown>
}

/** Sends with the epoch known. When the agent knows a higher one that is read anew, and the call is sent once more if it has risen. */
export async function sendAtEpoch<T>(
  { epoch = () => 0, renewEpoch }: SenderEpoch,
  send: (epoch: number) => Promise<T>,
): Promise<T> {
  const known = epoch()
  try {
    return await send(known)
  } catch (error) {
    if (renewEpoch === undefined || !isStale(error)) throw error
    await renewEpoch()
    if (epoch() <= known) throw error
    return send(epoch())
  }
}

function isStale(error: unknown): boolean {
  return error instanceof CloudError && error.code === clusterErrors.staleEpoch.code
}
