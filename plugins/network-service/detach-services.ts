import type { PluginContext } from '#plugin-host'
import { l3Network } from '#plugins/l3-network/contract/resources.ts'
import { defineStep, defineWorkflow, noUndo, type Workflow } from '#workflow'
import { attachServices, detachServices } from './attachments.ts'
import { networkServiceDriver } from './contract/extensions.ts'
import type { NetworkServiceL3NetworkRef } from './contract/resources.ts'
import { awayHostsOf, leaveNetwork } from './left-network.ts'
import { providersByUuid } from './providers.ts'
import { driversOf, hostsOfNetwork, refreshNetwork } from './serve-nics.ts'

export interface Detachment {
  readonly l3NetworkUuid: string
  readonly refs: readonly NetworkServiceL3NetworkRef[]
}

export type DetachWorkflow = Workflow<Detachment, { readonly inventory: Record<string, unknown> }>

/** Takes services away from a network: rows first, so that no VM that starts brings them back, then the hosts. */
export function detachServicesWorkflow(ctx: PluginContext): DetachWorkflow {
  const dropServices = defineStep<Detachment, void>({
    name: 'drop-services',
    run: ({ refs }) => detachServices(ctx, refs),
    // Hosts that were cleared already are told again; this comes last, when the rows are back.
    undo: async ({ l3NetworkUuid, refs }) => {
      await attachServices(ctx, refs)
      await refreshNetwork(ctx, l3NetworkUuid)
    },
  })
  const clearHosts = defineStep<Detachment, void>({
    name: 'clear-hosts',
    run: async ({ l3NetworkUuid, refs }) => {
      const providers = await providersByUuid(ctx.db)
      const still = await driversOf(ctx, l3NetworkUuid)
      const hosts = await hostsOfNetwork(ctx, l3NetworkUuid)
      const types = new Set(refs.map((ref) => providers.get(ref.networkServiceProviderUuid)?.type ?? ''))
      for (const type of types) {
        const driver = ctx.driver(networkServiceDriver, type)
        if (still.includes(driver)) continue
        await driver.networkDeleted(l3NetworkUuid, hosts)
        const away = await awayHostsOf(ctx, l3NetworkUuid)
        await leaveNetwork(ctx, l3NetworkUuid, { providerTypes: [type], hosts: away })
      }
      await refreshNetwork(ctx, l3NetworkUuid)
    },
    undo: noUndo('the undo of the step before tells the hosts, once the rows are back'),
  })
  return defineWorkflow(
    'network-service.detach',
    [dropServices, clearHosts],
    async (flow, input: Detachment) => {
      await flow.step(dropServices, input)
      await flow.step(clearHosts, input)
      return { inventory: await ctx.query.view(l3Network, input.l3NetworkUuid) }
    },
    { afterCrash: 'resume' },
  )
}
