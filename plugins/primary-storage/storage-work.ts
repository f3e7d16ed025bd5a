import { currentTask } from '#kernel'
import { laneOf, type PluginContext } from '#plugin-host'
import { storageParallelism } from './contract/configs.ts'
import type { PrimaryStorage } from './contract/resources.ts'
import { driverOf } from './store.ts'

/**
 * Runs what makes, copies or removes files on a primary storage, as much at a time as it may have. What lies on the hosts' own disks
 * is as many storages as hosts: each disk has its own limit.
 */
export function workOn<T>(
  ctx: PluginContext,
  storage: PrimaryStorage,
  what: { readonly label: string; readonly hostUuid: string },
  run: () => Promise<T>,
): Promise<T> {
  const place = driverOf(ctx, storage).hostBound ? `${storage.uuid}/${what.hostUuid}` : storage.uuid
  const lane = laneOf(ctx, `storage-work:${place}`, storageParallelism)
  return lane.run({ label: what.label, signal: currentTask()?.signal, run })
}
