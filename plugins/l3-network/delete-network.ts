import { find, findOne, get, notNull, remove } from '#db'
import { CloudError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { defineStep, defineWorkflow, noUndo, type Workflow } from '#workflow'
import type { AddressFinder } from './address-store.ts'
import { l3Hook } from './contract/extensions.ts'
import { ipRange, l3Network, l3NetworkDns, usedIp } from './contract/resources.ts'

export type DeleteL3Workflow = Workflow<{ uuid: string }, Record<string, never>>

/** Takes an L3 network without NICs from the hosts and forgets it. Goes on after a crash: every part may be repeated. */
export function deleteNetworkWorkflow(ctx: PluginContext, finder: AddressFinder): DeleteL3Workflow {
  const { db } = ctx

  const forgetRestOf = async (uuid: string) => {
    for (const hook of ctx.hooks(l3Hook)) await hook.deleted?.(uuid)
    await ctx.bus.call(removeTags, { resourceUuid: uuid })
  }

  const clearHosts = defineStep<{ uuid: string }, void>({
    name: 'clear-hosts',
    run: async ({ uuid }) => {
      const network = await findOne(db, l3Network, { uuid })
      if (network === undefined) return
      for (const hook of ctx.hooks(l3Hook)) await hook.deleting?.(network)
    },
    undo: noUndo('a host that serves no VM of the network needs nothing; the first VM brings it back'),
  })

  const forgetNetwork = defineStep<{ uuid: string }, void>({
    name: 'forget-network',
    run: async ({ uuid }) => {
      const ranges = await find(db, ipRange, { l3NetworkUuid: uuid })
      await db.write(async (tx) => {
        // A VM created meanwhile may have taken an address.
        const taken = await findOne(tx, usedIp, { l3NetworkUuid: uuid, vmNicUuid: notNull })
        if (taken !== undefined) {
          const { name } = await get(tx, l3Network, uuid)
          const what = `L3 network '${name}'[uuid:${uuid}] got the VM NIC[uuid:${taken.vmNicUuid}] meanwhile`
          throw new CloudError(sysErrors.deleteResource, `${what}; delete its VM first`)
        }
        await remove(tx, usedIp, { l3NetworkUuid: uuid })
        await remove(tx, ipRange, { l3NetworkUuid: uuid })
        await remove(tx, l3NetworkDns, { l3NetworkUuid: uuid })
        await remove(tx, l3Network, { uuid })
      })
      for (const range of ranges) finder.forget(range.uuid)
    },
    // What is gone cannot come back, and nobody can ask for the rest any more: it is finished here.
    undo: async ({ uuid }) => {
      if ((await findOne(db, l3Network, { uuid })) === undefined) await forgetRestOf(uuid)
    },
  })

  const forgetRest = defineStep<{ uuid: string }, void>({
    name: 'forget-rest',
    run: ({ uuid }) => forgetRestOf(uuid),
    undo: noUndo('the undo of the step before finishes it'),
  })

  return defineWorkflow(
    'l3-network.delete',
    [clearHosts, forgetNetwork, forgetRest],
    async (flow, { uuid }: { uuid: string }) => {
      await flow.step(clearHosts, { uuid })
      await flow.step(forgetNetwork, { uuid })
      await flow.step(forgetRest, { uuid })
      return {}
    },
    { afterCrash: 'resume' },
  )
}
