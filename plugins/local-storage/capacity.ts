import { atLeast, find, findOne, insert, plus, remove, type Session, type Tx, update } from '#db'
import { CloudError, formatSize, parseSize } from '#kernel'
import type { Config, PluginContext } from '#plugin-host'
import { reservedCapacity, storageOverProvisioning } from '#plugins/primary-storage/contract/configs.ts'
import { primaryStorageErrors } from '#plugins/primary-storage/contract/errors.ts'
import {
  type SpaceLedger,
  type StorageCapacity,
  spaceLedger,
  type VolumePlace,
} from '#plugins/primary-storage/contract/extensions.ts'
import { localImageCache, localStorageHostRef, localStorageResourceRef } from './contract/resources.ts'

/** What every change of space needs: the ratios, and where the totals of the storage are kept. */
export interface Books {
  readonly config: Config
  readonly ledger: SpaceLedger
}

export function booksOf(ctx: PluginContext): Books {
  return { config: ctx.config, ledger: ctx.driver(spaceLedger, 'primary storage') }
}

/** Bytes of disk that `size` promised bytes count as. */
export function realSize(config: Config, size: number): number {
  return Math.ceil(size / Number(config.get(storageOverProvisioning)))
}

export function reservedBytes(config: Config): number {
  return parseSize(config.get(reservedCapacity))
}

/** Takes `size` bytes on a host for a volume; a repeat takes nothing. */
export async function reserveVolume(tx: Tx, books: Books, place: VolumePlace): Promise<void> {
  const { volumeUuid, hostUuid, primaryStorageUuid, sizeBytes } = place
  if ((await findOne(tx, localStorageResourceRef, { resourceUuid: volumeUuid, hostUuid })) !== undefined)
    return
  await take(tx, books, primaryStorageUuid, hostUuid, realSize(books.config, sizeBytes))
  const now = Date.now()
  const row = {
    resourceUuid: volumeUuid,
    primaryStorageUuid,
    hostUuid,
    size: sizeBytes,
    resourceType: 'VolumeVO',
  }
  await insert(tx, localStorageResourceRef, { ...row, createDate: now, lastOpDate: now })
}

export async function releaseVolume(
  tx: Tx,
  books: Books,
  volumeUuid: string,
  hostUuid: string | undefined,
): Promise<void> {
  const where = { resourceUuid: volumeUuid, ...(hostUuid === undefined ? {} : { hostUuid }) }
  for (const ref of await find(tx, localStorageResourceRef, where)) {
    await remove(tx, localStorageResourceRef, { resourceUuid: volumeUuid, hostUuid: ref.hostUuid })
    await give(tx, books, ref.primaryStorageUuid, ref.hostUuid, realSize(books.config, ref.size))
  }
}

/** Takes the space of a cached image on a host; a repeat takes nothing. */
export async function reserveCache(
  tx: Tx,
  books: Books,
  cache: {
    imageUuid: string
    primaryStorageUuid: string
    hostUuid: string
    installPath: string
    size: number
  },
): Promise<void> {
  const { imageUuid, primaryStorageUuid, hostUuid, size } = cache
  if ((await findOne(tx, localImageCache, { imageUuid, primaryStorageUuid, hostUuid })) !== undefined) return
  await take(tx, books, primaryStorageUuid, hostUuid, size)
  await insert(tx, localImageCache, { ...cache, createDate: Date.now() })
}

export async function releaseCache(
  tx: Tx,
  books: Books,
  cache: { imageUuid: string; primaryStorageUuid: string; hostUuid: string; size: number },
): Promise<void> {
  const { imageUuid, primaryStorageUuid, hostUuid, size } = cache
  const removed = await remove(tx, localImageCache, { imageUuid, primaryStorageUuid, hostUuid })
  if (removed > 0) await give(tx, books, primaryStorageUuid, hostUuid, size)
}

async function take(
  tx: Tx,
  books: Books,
  primaryStorageUuid: string,
  hostUuid: string,
  bytes: number,
): Promise<void> {
  const kept = reservedBytes(books.config)
  const where = { primaryStorageUuid, hostUuid, availableCapacity: atLeast(bytes + kept) }
  if ((await update(tx, localStorageHostRef, where, { availableCapacity: plus(-bytes) })) > 0)
    return books.ledger.taken(tx, primaryStorageUuid, bytes)
  const row = await findOne(tx, localStorageHostRef, { primaryStorageUuid, hostUuid })
  const free = row === undefined ? 'no' : formatSize(Math.max(0, row.availableCapacity - kept))
  const details = `the host ${hostUuid} has ${free} of local space free, ${formatSize(bytes)} are needed`
  throw new CloudError(primaryStorageErrors.allocate, details)
}

async function give(
  tx: Tx,
  books: Books,
  primaryStorageUuid: string,
  hostUuid: string,
  bytes: number,
): Promise<void> {
  const given = { availableCapacity: plus(bytes) }
  // A host that was forgotten meanwhile has taken its space out of the totals with it.
  if ((await update(tx, localStorageHostRef, { primaryStorageUuid, hostUuid }, given)) > 0)
    await books.ledger.taken(tx, primaryStorageUuid, -bytes)
}

/** Records what a host's disk has in all, and what of it is not promised to anybody. */
export async function recordHost(
  tx: Tx,
  config: Config,
  where: { primaryStorageUuid: string; hostUuid: string },
  disk: { totalBytes: number; availableBytes: number },
): Promise<void> {
  const volumes = await find(tx, localStorageResourceRef, where)
  const caches = await find(tx, localImageCache, where)
  const taken =
    volumes.reduce((n, v) => n + realSize(config, v.size), 0) + caches.reduce((n, c) => n + c.size, 0)
  const now = Date.now()
  const row = {
    totalCapacity: disk.totalBytes,
    availableCapacity: disk.totalBytes - taken,
    totalPhysicalCapacity: disk.totalBytes,
    availablePhysicalCapacity: disk.availableBytes,
    lastOpDate: now,
  }
  if ((await update(tx, localStorageHostRef, where, row)) > 0) return
  await insert(tx, localStorageHostRef, { ...where, ...row, createDate: now })
}

/** Counts anew what is not promised, on every host of a storage. */
export async function recountHosts(tx: Tx, config: Config, primaryStorageUuid: string): Promise<void> {
  for (const row of await find(tx, localStorageHostRef, { primaryStorageUuid })) {
    const disk = { totalBytes: row.totalPhysicalCapacity, availableBytes: row.availablePhysicalCapacity }
    await recordHost(tx, config, { primaryStorageUuid, hostUuid: row.hostUuid }, disk)
  }
}

/** Sums over the hosts of a storage. */
export async function totals(db: Session, primaryStorageUuid: string): Promise<StorageCapacity> {
  const rows = await find(db, localStorageHostRef, { primaryStorageUuid })
  const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((n, row) => n + of(row), 0)
  return {
    totalCapacity: sum((r) => r.totalCapacity),
    availableCapacity: sum((r) => r.availableCapacity),
    totalPhysicalCapacity: sum((r) => r.totalPhysicalCapacity),
    availablePhysicalCapacity: sum((r) => r.availablePhysicalCapacity),
  }
}
