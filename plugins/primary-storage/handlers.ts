import { count, find, get, insert, oneOf, remove, update } from '#db'
import { CloudError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { clusterHook } from '#plugins/cluster/contract/extensions.ts'
import { cluster } from '#plugins/cluster/contract/resources.ts'
import { hostHook } from '#plugins/host/contract/extensions.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { volume } from '#plugins/volume/contract/resources.ts'
import { zoneHook } from '#plugins/zone/contract/extensions.ts'
import { attachWorkflow, connectHost, forgetHost } from './attach.ts'
import * as apis from './contract/apis.ts'
import { attachPrimaryStorageToCluster, detachPrimaryStorageFromCluster } from './contract/cluster-apis.ts'
import { storageOverProvisioning } from './contract/configs.ts'
import { primaryStorageErrors } from './contract/errors.ts'
import { addPrimaryStorage } from './contract/messages.ts'
import { primaryStorage, primaryStorageClusterRef } from './contract/resources.ts'
import {
  connectedHosts,
  driverOf,
  getStorage,
  isAttached,
  refreshCapacity,
  storagesOfCluster,
} from './store.ts'

const key = (input: { uuid: string }) => `primaryStorage:${input.uuid}`
const stateAfter: Readonly<Record<string, string>> = {
  enable: 'Enabled',
  disable: 'Disabled',
  maintain: 'Maintenance',
  deleting: 'Deleting',
}

export function handlePrimaryStorage(ctx: PluginContext): void {
  const { db } = ctx
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(primaryStorage, uuid) })
  ctx.serve(addPrimaryStorage, async (row) => {
    // The driver must be there, or nothing could ever be done with the storage.
    driverOf(ctx, row)
    await db.write((tx) => insert(tx, primaryStorage, row))
    return row
  })
  ctx.handle(
    apis.updatePrimaryStorage,
    async ({ uuid, name, description }) => {
      const given = Object.entries({ name, description }).filter(([, value]) => value !== undefined)
      await db.write((tx) =>
        update(tx, primaryStorage, { uuid }, { ...Object.fromEntries(given), lastOpDate: Date.now() }),
      )
      return view(uuid)
    },
    { key },
  )
  ctx.handle(
    apis.changePrimaryStorageState,
    async ({ uuid, stateEvent }) => {
      await db.write((tx) =>
        update(tx, primaryStorage, { uuid }, { state: stateAfter[stateEvent], lastOpDate: Date.now() }),
      )
      return view(uuid)
    },
    { key },
  )
  ctx.handle(
    apis.reconnectPrimaryStorage,
    async ({ uuid }) => {
      for (const ref of await find(db, primaryStorageClusterRef, { primaryStorageUuid: uuid })) {
        for (const h of await connectedHosts(ctx, ref.clusterUuid)) await connectHost(ctx, uuid, h)
      }
      return view(uuid)
    },
    { key },
  )
  ctx.handle(
    apis.deletePrimaryStorage,
    async ({ uuid }) => {
      const storage = await getStorage(db, uuid)
      const clusters = await count(db, primaryStorageClusterRef, { primaryStorageUuid: uuid })
      const volumes = await count(db, volume, { primaryStorageUuid: uuid })
      if (clusters + volumes > 0) {
        const details = `the primary storage ${storage.name} is attached to ${clusters} cluster(s) and holds ${volumes} volume(s); detach and delete them first`
        throw new CloudError(sysErrors.deleteResource, details)
      }
      await db.write((tx) => remove(tx, primaryStorage, { uuid }))
      await ctx.bus.call(removeTags, { resourceUuid: uuid })
      return {}
    },
    { key },
  )
  handleCapacityQuery(ctx)
}

function handleCapacityQuery(ctx: PluginContext): void {
  ctx.config.onChange(storageOverProvisioning, async () => {
    for (const storage of await find(ctx.db, primaryStorage, {})) {
      const driver = driverOf(ctx, storage)
      await ctx.db.write(async (tx) => {
        await driver.recount(tx, storage.uuid)
        await refreshCapacity(tx, driver, storage.uuid)
      })
    }
  })
  ctx.handle(apis.getPrimaryStorageCapacity, async ({ zoneUuids, clusterUuids, primaryStorageUuids }) => {
    const refs =
      clusterUuids === undefined
        ? undefined
        : await find(ctx.db, primaryStorageClusterRef, { clusterUuid: oneOf(clusterUuids) })
    const uuids = primaryStorageUuids ?? refs?.map((ref) => ref.primaryStorageUuid)
    const rows = await find(ctx.db, primaryStorage, {
      ...(zoneUuids === undefined ? {} : { zoneUuid: oneOf(zoneUuids) }),
      ...(uuids === undefined ? {} : { uuid: oneOf(uuids) }),
    })
    const sum = (of: (row: (typeof rows)[number]) => number) =>
      rows.reduce((total, row) => total + of(row), 0)
    return {
      totalCapacity: sum((r) => r.totalCapacity),
      availableCapacity: sum((r) => r.availableCapacity),
      totalPhysicalCapacity: sum((r) => r.totalPhysicalCapacity),
      availablePhysicalCapacity: sum((r) => r.availablePhysicalCapacity),
    }
  })
}

export function handleAttachments(ctx: PluginContext): void {
  const { db } = ctx
  const attach = ctx.workflow(attachWorkflow(ctx))
  const clusterKey = (input: { primaryStorageUuid: string }) => `primaryStorage:${input.primaryStorageUuid}`
  ctx.handle(
    attachPrimaryStorageToCluster,
    async ({ primaryStorageUuid, clusterUuid }) => {
      const storage = await getStorage(db, primaryStorageUuid)
      const target = await get(db, cluster, clusterUuid)
      if (storage.zoneUuid !== target.zoneUuid) {
        const details = `the primary storage ${storage.name} and the cluster ${target.name} lie in different zones`
        throw new CloudError(primaryStorageErrors.attach, details)
      }
      if (await isAttached(db, primaryStorageUuid, clusterUuid)) {
        const details = `the primary storage ${storage.name} is attached to the cluster ${target.name} already`
        throw new CloudError(primaryStorageErrors.attach, details)
      }
      await ctx.workflows.run(attach, { primaryStorageUuid, clusterUuid })
      return { inventory: await ctx.query.view(primaryStorage, primaryStorageUuid) }
    },
    { key: clusterKey },
  )
  ctx.handle(
    detachPrimaryStorageFromCluster,
    async ({ primaryStorageUuid, clusterUuid }) => {
      if (!(await isAttached(db, primaryStorageUuid, clusterUuid))) {
        const details = `the primary storage ${primaryStorageUuid} is not attached to the cluster ${clusterUuid}`
        throw new CloudError(primaryStorageErrors.detach, details)
      }
      const hosts = await find(db, host, { clusterUuid })
      await refuseWhileUsed(ctx, primaryStorageUuid, clusterUuid)
      for (const h of hosts) await forgetHost(ctx, primaryStorageUuid, h.uuid)
      await db.write((tx) => remove(tx, primaryStorageClusterRef, { primaryStorageUuid, clusterUuid }))
      return { inventory: await ctx.query.view(primaryStorage, primaryStorageUuid) }
    },
    { key: clusterKey },
  )
}

async function refuseWhileUsed(
  ctx: PluginContext,
  primaryStorageUuid: string,
  clusterUuid: string,
): Promise<void> {
  const used = await ctx.query.query(volume, {
    conditions: [
      { name: 'primaryStorageUuid', op: '=', value: primaryStorageUuid },
      { name: 'vmInstance.clusterUuid', op: '=', value: clusterUuid },
    ],
    limit: 5,
  })
  const names = (used.inventories ?? []).map((v) => v.name)
  if (names.length === 0) return
  const details = `VMs of the cluster still use volumes on the storage: ${names.join(', ')}; delete or move them first`
  throw new CloudError(primaryStorageErrors.detach, details)
}

export function observeHosts(ctx: PluginContext): void {
  ctx.hook(hostHook, {
    connected: async (h) => {
      for (const storage of await storagesOfCluster(ctx.db, h.clusterUuid))
        await connectHost(ctx, storage.uuid, h)
    },
    deleting: async (h) => {
      for (const storage of await storagesOfCluster(ctx.db, h.clusterUuid))
        await forgetHost(ctx, storage.uuid, h.uuid)
    },
  })
  ctx.hook(zoneHook, {
    beforeDelete: async (zoneUuid) => {
      const left = await count(ctx.db, primaryStorage, { zoneUuid })
      if (left > 0)
        throw new CloudError(
          sysErrors.deleteResource,
          `the zone ${zoneUuid} still has ${left} primary storage(s); delete them first`,
        )
    },
  })
  ctx.hook(clusterHook, {
    beforeDelete: async (clusterUuid) => {
      await ctx.db.write((tx) => remove(tx, primaryStorageClusterRef, { clusterUuid }))
    },
  })
}
