import { defineMessage } from '#contract'
import type { ImageSource, MadeVolume, VolumePlace } from './extensions.ts'
import type { PrimaryStorage } from './resources.ts'

/** Adds a primary storage: its row and, when its clusters are known, the connection to their hosts. */
export const addPrimaryStorage = defineMessage<PrimaryStorage, PrimaryStorage>('primaryStorage.add')

/** Chooses a primary storage for a volume the host can reach and reserves the space. A repeat returns the first choice. */
export const allocateSpace = defineMessage<
  Omit<VolumePlace, 'primaryStorageUuid'> & { clusterUuid: string; primaryStorageUuid?: string | undefined },
  { primaryStorageUuid: string; installPath: string }
>('primaryStorage.allocate')

/** Gives back the space of a volume. What is not reserved is fine. */
export const releaseSpace = defineMessage<
  { volumeUuid: string; primaryStorageUuid: string | undefined },
  void
>('primaryStorage.release')

/** Makes the volume's file, from an image or empty. */
export const makeVolume = defineMessage<{ place: VolumePlace; image?: ImageSource | undefined }, MadeVolume>(
  'primaryStorage.make',
)

/** Removes a volume's file. */
export const deleteVolumeFile = defineMessage<
  { volumeUuid: string; primaryStorageUuid: string; installPath: string },
  void
>('primaryStorage.deleteFile')

/** Brings an ISO to a host, on a storage the host can reach. */
export const provideIso = defineMessage<
  { hostUuid: string; clusterUuid: string; image: ImageSource },
  { path: string }
>('primaryStorage.provideIso')

/** One volume on its way to another host. */
export interface VolumeMove {
  readonly place: VolumePlace
  readonly installPath: string
  readonly image?: ImageSource | undefined
}
/** Whether the volume must be copied when its VM moves to another host. */
export const needsCopy = defineMessage<{ primaryStorageUuid: string }, boolean>('primaryStorage.needsCopy')
export const prepareMove = defineMessage<VolumeMove, void>('primaryStorage.prepareMove')
export const finishMove = defineMessage<VolumeMove, void>('primaryStorage.finishMove')
export const cancelMove = defineMessage<VolumeMove, void>('primaryStorage.cancelMove')
