import { find, findOne, get, insert, remove, type Tx } from '#db'
import { CloudError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { l3Network } from '#plugins/l3-network/contract/resources.ts'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { defineStep, defineWorkflow, type Workflow } from '#workflow'
import { l2Errors } from './contract/errors.ts'
import {
  type L2Network,
  type L2NetworkClusterRef,
  l2Network,
  l2NetworkClusterRef,
} from './contract/resources.ts'
import { awayHosts, connectedHosts, createBridges, removeBridges, takeBridgesBack } from './host-bridges.ts'
import { leaveBridges } from './left-bridge.ts'

export interface Attachment {
  readonly ref: L2NetworkClusterRef
}

type L2Reply = { readonly inventory: Record<string, unknown> }

export interface L2Workflows {
  readonly attach: Workflow<Attachment, L2Reply>
  readonly detach: Workflow<Attachment, L2Reply>
  readonly remove: Workflow<{ uuid: string; refs: readonly L2NetworkClusterRef[] }, Record<string, never>>
}

/** The changes of L2 networks that reach hosts. */
export function l2Workflows(ctx: PluginContext): L2Workflows {
  const { db } = ctx
  const { bridgesOn, bridgesOff } = bridgeSteps(ctx)
  const view = async (ref: L2NetworkClusterRef) => ({
    inventory: await ctx.query.view(l2Network, ref.l2NetworkUuid),
  })

  const isGone = async (uuid: string) => (await findOne(db, l2Network, { uuid })) === undefined

  const addRef = defineStep<Attachment, void>({
    name: 'add-attachment',
    run: ({ ref }) => db.write((tx) => insertRef(tx, ref)),
    undo: ({ ref }) => db.write((tx) => removeRef(tx, ref)),
  })
  // The row goes first: from then on no VM is placed in the cluster and no host that connects gets the bridge.
  const dropRef = defineStep<Attachment, void>({
    name: 'remove-attachment',
    run: ({ ref }) => db.write((tx) => removeRef(tx, ref)),
    undo: async ({ ref }) => {
      if (!(await isGone(ref.l2NetworkUuid))) await db.write((tx) => insertRef(tx, ref))
    },
  })
  const forget = defineStep<{ uuid: string }, void>({
    name: 'forget-network',
    run: async ({ uuid }) => {
      await db.write(async (tx) => {
        await refuseWithL3(tx, uuid)
        await remove(tx, l2Network, { uuid })
      })
      await ctx.bus.call(removeTags, { resourceUuid: uuid })
    },
    // A network that is gone cannot come back, and nobody can ask for its tags any more.
    undo: async ({ uuid }) => {
      if (await isGone(uuid)) await ctx.bus.call(removeTags, { resourceUuid: uuid })
    },
  })

  return {
    attach: defineWorkflow('l2-network.attach', [addRef, bridgesOn], async (flow, input: Attachment) => {
      await flow.step(addRef, input)
      await flow.step(bridgesOn, input)
      return view(input.ref)
    }),
    detach: defineWorkflow(
      'l2-network.detach',
      [dropRef, bridgesOff],
      async (flow, input: Attachment) => {
        await flow.step(dropRef, input)
        await flow.step(bridgesOff, input)
        return view(input.ref)
      },
      { afterCrash: 'resume' },
    ),
    remove: defineWorkflow(
      'l2-network.delete',
      [dropRef, bridgesOff, forget],
      async (flow, { uuid, refs }: { uuid: string; refs: readonly L2NetworkClusterRef[] }) => {
        for (const ref of refs) {
          await flow.step(dropRef, { ref })
          await flow.step(bridgesOff, { ref })
        }
        await flow.step(forget, { uuid })
        return {}
      },
      { afterCrash: 'resume' },
    ),
  }
}

/** The steps that reach hosts. One that is away loses its bridge when it is back. */
function bridgeSteps(ctx: PluginContext) {
  const { db } = ctx
  const networkOf = (ref: L2NetworkClusterRef) => get(db, l2Network, ref.l2NetworkUuid)
  const hostsOf = (ref: L2NetworkClusterRef) => connectedHosts(ctx, [ref.clusterUuid])
  const bridgesOn = defineStep<Attachment, void>({
    name: 'create-bridges',
    run: async ({ ref }) => createBridges(ctx, await networkOf(ref), await hostsOf(ref)),
    undo: async ({ ref }) => {
      const network = await networkOf(ref)
      const refused = await takeBridgesBack(ctx, network, await hostsOf(ref))
      await leaveBridges(ctx, network, [...refused, ...(await awayHosts(ctx, ref.clusterUuid))])
    },
  })
  const bridgesOff = defineStep<Attachment, void>({
    name: 'remove-bridges',
    run: async ({ ref }) => {
      const network = await networkOf(ref)
      await removeBridges(ctx, network, await hostsOf(ref))
      await leaveBridges(ctx, network, await awayHosts(ctx, ref.clusterUuid))
    },
    undo: async ({ ref }) => {
      if ((await findOne(db, l2Network, { uuid: ref.l2NetworkUuid })) !== undefined)
        await createBridges(ctx, await networkOf(ref), await hostsOf(ref))
    },
  })
  return { bridgesOn, bridgesOff }
}

/** Refuses to delete an L2 network that carries L3 networks. */
export async function refuseWithL3(db: Parameters<typeof find>[0], uuid: string): Promise<void> {
  const l3s = await find(db, l3Network, { l2NetworkUuid: uuid }, { orderBy: ['name'] })
  if (l3s.length === 0) return
  const names = l3s.map((l3) => `'${l3.name}'[uuid:${l3.uuid}]`).join(', ')
  const { name } = await get(db, l2Network, uuid)
  throw new CloudError(
    sysErrors.deleteResource,
    `L2 network '${name}'[uuid:${uuid}] carries the L3 networks ${names}; delete them first`,
  )
}

async function insertRef(tx: Tx, ref: L2NetworkClusterRef): Promise<void> {
  const { l2NetworkUuid, clusterUuid } = ref
  if ((await findOne(tx, l2NetworkClusterRef, { l2NetworkUuid, clusterUuid })) !== undefined) return
  await refuseSharedInterface(tx, await get(tx, l2Network, l2NetworkUuid), clusterUuid)
  await insert(tx, l2NetworkClusterRef, ref)
}

async function removeRef(tx: Tx, { l2NetworkUuid, clusterUuid }: L2NetworkClusterRef): Promise<void> {
  await remove(tx, l2NetworkClusterRef, { l2NetworkUuid, clusterUuid })
}

/** One interface carries one untagged network: two would be the same bridge. */
async function refuseSharedInterface(tx: Tx, network: L2Network, clusterUuid: string): Promise<void> {
  for (const ref of await find(tx, l2NetworkClusterRef, { clusterUuid })) {
    const other = await findOne(tx, l2Network, { uuid: ref.l2NetworkUuid })
    if (other?.physicalInterface !== network.physicalInterface || other.type !== network.type) continue
    const details = `L2 network '${other.name}'[uuid:${other.uuid}] is attached to cluster[uuid:${clusterUuid}] with the same interface ${network.physicalInterface}; two untagged networks cannot share it`
    throw new CloudError(l2Errors.attach, details)
  }
}
