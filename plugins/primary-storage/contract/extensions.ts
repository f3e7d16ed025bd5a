import type { Session, Tx } from '#db'
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

/** One kind of primary storage. Everything may be repeated; deleting what is not there is fine. */
export interface PrimaryStorageDriver {
  /** Whether volumes lie on one host and move only with their data. */
  readonly hostBound: boolean
  /** Prepares the storage on a host of an attached cluster. */
  connectHost(storage: PrimaryStorage, host: Host): Promise<void>
  /** Forgets a host; its volumes are gone or unreachable by now. */
  forgetHost(storage: PrimaryStorage, hostUuid: string): Promise<void>
  /** Counts anew what is free, after the ratio of over-provisioning changed. */
  recount(tx: Tx, storageUuid: string): Promise<void>
  /** Space in all, from what the hosts reported. */
  capacity(tx: Session, storageUuid: string): Promise<StorageCapacity>
  /** Hosts among `candidates` that cannot serve the VM from this storage, and why. */
  reject(storage: PrimaryStorage, candidates: readonly Host[], spec: PlacementSpec): Promise<Rejection[]>
  /** Takes space for a volume on a host, in the caller's transaction. Throws when there is not enough. A repeat takes nothing. */
  reserve(tx: Tx, place: VolumePlace): Promise<void>
  /** Gives back what a volume has taken: on one host, or everywhere. */
  release(tx: Tx, volumeUuid: string, hostUuid?: string): Promise<void>
  /** Hosts that hold the volume, the newest last. */
  hostsOf(volumeUuid: string): Promise<string[]>
  installPath(storage: PrimaryStorage, place: VolumePlace): string
  createFromImage(storage: PrimaryStorage, place: VolumePlace, image: ImageSource): Promise<MadeVolume>
  createEmpty(storage: PrimaryStorage, place: VolumePlace): Promise<MadeVolume>
  /** Brings an ISO to a host and returns its path. */
  provideIso(storage: PrimaryStorage, hostUuid: string, image: ImageSource): Promise<string>
  /** Removes the volume's file from one host. */
  delete(
    storage: PrimaryStorage,
    file: { volumeUuid: string; installPath: string; hostUuid: string },
  ): Promise<void>
}

export interface StorageCapacity {
  readonly totalCapacity: number
  readonly availableCapacity: number
  readonly totalPhysicalCapacity: number
  readonly availablePhysicalCapacity: number
}

/**
 * Keeps the totals people see in step with what drivers count. A driver tells it of every change of its available capacity, in
 * the transaction of that change, so that nobody has to sum over all hosts.
 */
export interface SpaceLedger {
  /** `bytes` of a storage were taken; negative when they were given back. */
  taken(tx: Tx, storageUuid: string, bytes: number): Promise<void>
}

/** Of one type only: `primary storage`. */
export const spaceLedger = defineDriver<SpaceLedger>('space ledger')

/** By primary storage type: `LocalStorage`, `SimulatorPrimaryStorage`. */
export const primaryStorageDriver = defineDriver<PrimaryStorageDriver>('primary storage')
