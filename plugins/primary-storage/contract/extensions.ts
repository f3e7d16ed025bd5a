import { defineDriver } from '#plugin-host'
import type { PlacementSpec, Rejection } from '#plugins/host/contract/extensions.ts'
import type { Host } from '#plugins/host/contract/resources.ts'
import type { PrimaryStorage } from './resources.ts'

/** An image as a primary storage needs to know it. */
export interface ImageSource {
  readonly imageUuid: string
  readonly format: 'qcow2' | 'raw' | 'iso'
  readonly sizeBytes: number
  readonly actualSizeBytes: number
  readonly sha256: string
  readonly backupStorageUuid: string
  readonly backupStoragePath: string
}

export interface VolumePlace {
  readonly volumeUuid: string
  readonly accountUuid: string
  readonly kind: 'Root' | 'Data'
  readonly sizeBytes: number
  readonly primaryStorageUuid: string
  /** The host that will use it first. */
  readonly hostUuid: string
}

export interface MadeVolume {
  readonly installPath: string
  readonly format: 'qcow2' | 'raw'
  readonly virtualSizeBytes: number
  readonly actualSizeBytes: number
}

/** One kind of primary storage. Every method may be repeated; deleting what is not there is fine. */
export interface PrimaryStorageDriver {
  /** Whether volumes lie on one host and move only with their data. */
  readonly hostBound: boolean
  /** Prepares the storage on a host of an attached cluster. */
  connectHost(storage: PrimaryStorage, host: Host): Promise<void>
  /** Forgets a host. */
  forgetHost(storage: PrimaryStorage, hostUuid: string): Promise<void>
  /** Hosts among `candidates` that cannot serve the VM from this storage, and why. */
  reject(storage: PrimaryStorage, candidates: readonly Host[], spec: PlacementSpec): Promise<Rejection[]>
  /** Reserves space under the volume's uuid; throws when there is not enough. */
  reserve(place: VolumePlace): Promise<void>
  release(volumeUuid: string): Promise<void>
  installPath(storage: PrimaryStorage, place: VolumePlace): string
  createFromImage(storage: PrimaryStorage, place: VolumePlace, image: ImageSource): Promise<MadeVolume>
  createEmpty(storage: PrimaryStorage, place: VolumePlace): Promise<MadeVolume>
  /** Brings an ISO to a host and returns its path. */
  provideIso(storage: PrimaryStorage, hostUuid: string, image: ImageSource): Promise<string>
  delete(storage: PrimaryStorage, volume: { volumeUuid: string; installPath: string }): Promise<void>
  /** Host a volume lies on, for host-bound storage. */
  hostOf(volumeUuid: string): Promise<string | undefined>
  /** Reserves space on the destination and makes an equal, empty top layer there. */
  prepareMove(
    storage: PrimaryStorage,
    place: VolumePlace,
    installPath: string,
    image: ImageSource | undefined,
  ): Promise<void>
  /** The volume now lies on `hostUuid`: removes the copy elsewhere and its reservation. */
  finishMove(
    storage: PrimaryStorage,
    volumeUuid: string,
    installPath: string,
    hostUuid: string,
  ): Promise<void>
  /** Undoes prepareMove: removes the copy on `hostUuid`. */
  cancelMove(
    storage: PrimaryStorage,
    volumeUuid: string,
    installPath: string,
    hostUuid: string,
  ): Promise<void>
}

/** By primary storage type: `LocalStorage`, `SimulatorPrimaryStorage`. */
export const primaryStorageDriver = defineDriver<PrimaryStorageDriver>('primary storage')
