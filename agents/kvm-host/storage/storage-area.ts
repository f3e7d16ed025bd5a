import type { SharedWork, StorageRoots } from '#agent-files'
import type { KeyedQueues, Logger } from '#kernel'
import type { OpenImage } from './cache-image.ts'

/** What the storage commands of one agent share. */
export interface StorageArea {
  readonly roots: StorageRoots
  /** Work on one path, one after the other. */
  readonly queues: KeyedQueues
  /** Images on their way into the cache, by their path there. */
  readonly transfers: SharedWork<{ actualSizeBytes: number }>
  readonly openImage: OpenImage
  readonly log: Logger
}
