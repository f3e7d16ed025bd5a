import { CloudError, clusterErrors, sysErrors } from '#kernel'

/** Where the highest epoch outlives the agent's process. */
export interface EpochStore {
  /** 0 when nothing was stored yet. */
  load(): number
  /** Resolves when the number would survive a power cut. */
  save(epoch: number): Promise<void>
}

/**
 * Keeps out management nodes that lost their place in the cluster and do not know it yet: a call of a lower epoch than the highest
 * one seen runs nothing. A call that raises the epoch waits, with all that come after it, until the new one is stored.
 */
export interface EpochGate {
  /** The highest epoch seen. */
  highest(): number
  /** Resolves when a call of `epoch` may run now. Throws CLUSTER.1001 when it is too old, SYS.1016 when a new one cannot be stored. */
  admit(epoch: number, what: string): Promise<void>
}

/** A gate on what `store` remembers. */
export function createEpochGate(store: EpochStore): EpochGate {
  let stored = store.load()
  let highest = stored
  let saving: Promise<void> | undefined
  const save = async () => {
    try {
      while (stored < highest) {
        const epoch = highest
        await store.save(epoch)
        stored = epoch
      }
    } finally {
      saving = undefined
    }
  }
  return {
    highest: () => highest,
    admit: async (epoch, what) => {
      refuseStale(epoch, highest, what)
      highest = epoch
      if (stored >= epoch) return
      saving ??= save()
      await saving
      // A still higher one may have come meanwhile.
      refuseStale(epoch, highest, what)
    },
  }
}

/** Throws CLUSTER.1001 when `epoch` is lower than the highest an agent has seen. */
export function refuseStale(epoch: number, highest: number, what: string): void {
  if (epoch >= highest) return
  throw new CloudError(
    clusterErrors.staleEpoch,
    `${what} was sent at epoch ${epoch} of the cluster, the agent has seen epoch ${highest}: its sender is no member any more, ` +
      'or has not heard of a change yet; nothing was done',
    { opaque: { epoch, highest } },
  )
}

/** Reads `x-cluster-epoch`; a sender that is alone sends none, which is epoch 0. */
export function parseEpoch(text: string | undefined): number {
  if (text === undefined) return 0
  const epoch = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(epoch)) return epoch
  throw new CloudError(sysErrors.invalidArgument, `x-cluster-epoch is no epoch: ${JSON.stringify(text)}`)
}
