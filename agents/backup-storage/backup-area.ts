import type { SharedWork, StorageRoots } from '#agent-files'
import type { KeyedQueues, Logger } from '#kernel'
import type { DownloadedImage } from './download-image.ts'
import type { FetchGate } from './fetch-gate.ts'
import type { Probe } from './probe-jail.ts'

/** What the commands of one backup storage agent share. */
export interface BackupArea {
  readonly roots: StorageRoots
  /** Work on one image, one after the other. */
  readonly queues: KeyedQueues
  /** Downloads under way, by the path of the image. */
  readonly transfers: SharedWork<DownloadedImage>
  readonly gate: FetchGate
  readonly probe: Probe
  readonly log: Logger
}
