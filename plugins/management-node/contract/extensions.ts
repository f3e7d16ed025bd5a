import { defineHook } from '#plugin-host'

/** What a node tells of itself with each heartbeat, so that any node can show all. Additive: every member may be missing. */
export interface NodeFacts {
  /** Part of all keys this node owns, percent. */
  readonly ringShare?: number
  /** API calls that run, and that wait for their turn. */
  readonly runningJobs?: number
  readonly waitingJobs?: number
  /** Work of any kind that waits in queues. */
  readonly queueDepth?: number
  /** The worst since the heartbeat before. */
  readonly eventLoopLagMs?: number
  readonly memoryBytes?: number
}

/** Called for each heartbeat; later ones win. Must be quick and wait for nothing. */
export const nodeFacts = defineHook<() => NodeFacts>('node facts')
