import { find, findOne, insert, remove } from '#db'
import { CloudError, describeError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { type Host, host } from '#plugins/host/contract/resources.ts'
import { defineStep, defineWorkflow, type Workflow } from '#workflow'
import { primaryStorageErrors } from './contract/errors.ts'
import { primaryStorageClusterRef } from './contract/resources.ts'
import { connectedHosts, driverOf, getStorage, refreshCapacity } from './store.ts'

export interface Attachment {
  readonly primaryStorageUuid: string
  readonly clusterUuid: string
}

/** Attaches a storage to a cluster and prepares every connected host of it; all of them or none. */
export function attachWorkflow(ctx: PluginContext): Workflow<Attachment, void> {
  const insertRef = defineStep<Attachment, void>({
    name: 'insert-ref',
    run: ({ primaryStorageUuid, clusterUuid }) =>
      ctx.db.write(async (tx) => {
        if ((await findOne(tx, primaryStorageClusterRef, { primaryStorageUuid, clusterUuid })) !== undefined)
          return
        const now = Date.now()
        await insert(tx, primaryStorageClusterRef, {
          primaryStorageUuid,
          clusterUuid,
          createDate: now,
          lastOpDate: now,
        })
      }),
    undo: async ({ primaryStorageUuid, clusterUuid }) => {
      await ctx.db.write((tx) => remove(tx, primaryStorageClusterRef, { primaryStorageUuid, clusterUuid }))
    },
  })
  const connectHosts = defineStep<Attachment, void>({
    name: 'connect-hosts',
    run: async ({ primaryStorageUuid, clusterUuid }) => {
      for (const h of await connectedHosts(ctx, clusterUuid)) await connectHost(ctx, primaryStorageUuid, h)
    },
    undo: async ({ primaryStorageUuid, clusterUuid }) => {
      for (const h of await find(ctx.db, host, { clusterUuid }))
        await forgetHost(ctx, primaryStorageUuid, h.uuid)
    },
  })
  return defineWorkflow('primaryStorage.attach', [insertRef, connectHosts], async (flow, input) => {
    await flow.step(insertRef, input)
    await flow.step(connectHosts, input)
  })
}

export async function connectHost(ctx: PluginContext, storageUuid: string, h: Host): Promise<void> {
  const storage = await getStorage(ctx.db, storageUuid)
  const driver = driverOf(ctx, storage)
  try {
    await driver.connectHost(storage, h)
  } catch (error) {
    const details = `the primary storage ${storage.name} could not be prepared on the host ${h.name}: ${describeError(error)}`
    throw new CloudError(primaryStorageErrors.attach, details, { cause: error })
  }
  await ctx.db.write((tx) => refreshCapacity(tx, driver, storageUuid))
}

export async function forgetHost(ctx: PluginContext, storageUuid: string, hostUuid: string): Promise<void> {
  const storage = await getStorage(ctx.db, storageUuid)
  const driver = driverOf(ctx, storage)
  await driver.forgetHost(storage, hostUuid)
  await ctx.db.write((tx) => refreshCapacity(tx, driver, storageUuid))
}
