import { find, findOne, get, oneOf, plus, type Session, type Tx, update } from '#db'
import type { PluginContext } from '#plugin-host'
import { hostConnector } from '#plugins/host/contract/extensions.ts'
import { type Host, host } from '#plugins/host/contract/resources.ts'
import { type PrimaryStorageDriver, primaryStorageDriver, type SpaceLedger } from './contract/extensions.ts'
import { type PrimaryStorage, primaryStorage, primaryStorageClusterRef } from './contract/resources.ts'

export function driverOf(ctx: PluginContext, storage: PrimaryStorage): PrimaryStorageDriver {
  return ctx.driver(primaryStorageDriver, storage.type)
}

export function getStorage(db: Session, uuid: string): Promise<PrimaryStorage> {
  return get(db, primaryStorage, uuid)
}

/** Primary storages the hosts of a cluster may use. */
export async function storagesOfCluster(db: Session, clusterUuid: string): Promise<PrimaryStorage[]> {
  const refs = await find(db, primaryStorageClusterRef, { clusterUuid })
  if (refs.length === 0) return []
  return find(db, primaryStorage, { uuid: oneOf(refs.map((ref) => ref.primaryStorageUuid)) })
}

export async function isAttached(
  db: Session,
  primaryStorageUuid: string,
  clusterUuid: string,
): Promise<boolean> {
  return (await findOne(db, primaryStorageClusterRef, { primaryStorageUuid, clusterUuid })) !== undefined
}

/** Hosts of a cluster that a storage can be prepared on now. */
export async function connectedHosts(ctx: PluginContext, clusterUuid: string): Promise<Host[]> {
  const hosts = await find(ctx.db, host, { clusterUuid, status: 'Connected' })
  return hosts.filter((h) => ctx.drivers(hostConnector).has(h.hypervisorType))
}

/** What drivers take and give back is added up in the row people see. */
export const ledger: SpaceLedger = {
  taken: async (tx, uuid, bytes) => {
    await update(tx, primaryStorage, { uuid }, { availableCapacity: plus(-bytes) })
  },
}

/** Brings the totals people see in line with what the driver counts on all hosts: after a host came or went. */
export async function refreshCapacity(tx: Tx, driver: PrimaryStorageDriver, uuid: string): Promise<void> {
  await update(tx, primaryStorage, { uuid }, await driver.capacity(tx, uuid))
}
