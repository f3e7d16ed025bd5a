import { defineHook } from '#plugin-host'

/** Observes clusters. */
export interface ClusterHook {
  /** Throws, naming what is left, when the cluster still holds something of this plugin. */
  beforeDelete(clusterUuid: string): Promise<void>
}

export const clusterHook = defineHook<ClusterHook>('cluster')
