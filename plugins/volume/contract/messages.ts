import { defineMessage } from '#contract'
import type { ImageSource } from '#plugins/primary-storage/contract/extensions.ts'
import type { Volume } from './resources.ts'

/** A volume that is to be made, with all that is decided about it. */
export interface NewVolume {
  readonly uuid: string
  readonly name: string
  readonly description?: string | undefined
  readonly type: 'Root' | 'Data'
  readonly size: number
  readonly accountUuid: string
  readonly vmInstanceUuid?: string | undefined
  readonly deviceId?: number | undefined
  readonly diskOfferingUuid?: string | undefined
  readonly rootImageUuid?: string | undefined
}

/** Adds the row of a volume, without a place yet. A repeat is fine. */
export const addVolume = defineMessage<NewVolume, void>('volume.add')

/** Where a volume is to be made. */
export interface VolumeTarget {
  readonly uuid: string
  readonly hostUuid: string
  readonly clusterUuid: string
  readonly primaryStorageUuid?: string | undefined
}
/** Reserves space for a volume on a storage the host reaches, and records where it will lie. */
export const claimSpace = defineMessage<VolumeTarget, void>('volume.claimSpace')
/** Makes the file of a volume whose space is claimed, from an image or empty, and marks it Ready. */
export const makeFile = defineMessage<
  { uuid: string; hostUuid: string; image?: ImageSource | undefined },
  Volume
>('volume.makeFile')
/** Removes file and space of a volume but keeps its row. What is not there is fine. */
export const discardFile = defineMessage<{ uuid: string }, void>('volume.discardFile')
/** Removes the row of a volume. What is not there is fine. */
export const removeVolume = defineMessage<{ uuid: string }, void>('volume.remove')
/** Takes a volume from its VM in the books; the disk is unplugged already. */
export const releaseFromVm = defineMessage<{ uuid: string }, void>('volume.releaseFromVm')
/** Deletes a data volume with what attaches it to its VM: marks it Deleted, or removes it when the policy is Direct. A repeat is fine. */
export const markDeleted = defineMessage<{ uuid: string }, void>('volume.markDeleted')
