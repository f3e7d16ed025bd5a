import { defineMessage } from '#contract'
import type { Volume } from './resources.ts'

/** Adds the row of a volume, NotInstantiated. A repeat is fine. */
export const addVolumeRow = defineMessage<Volume, void>('volume.addRow')
/** The volume's file is there: records where and how large. */
export const markVolumeReady = defineMessage<
  {
    uuid: string
    primaryStorageUuid: string
    installPath: string
    format: string
    size: number
    actualSize: number
  },
  void
>('volume.markReady')
/** Removes the row of a volume. What is not there is fine. */
export const removeVolumeRow = defineMessage<{ uuid: string }, void>('volume.removeRow')
/** Creates a data volume row with a file and space on a host, for a VM that is made with data disks or attaches one. */
export const instantiateVolume = defineMessage<
  { uuid: string; hostUuid: string; clusterUuid: string },
  Volume
>('volume.instantiate')
/** Removes the volume for good: file, space, row. */
export const expungeVolume = defineMessage<{ uuid: string }, void>('volume.expunge')
