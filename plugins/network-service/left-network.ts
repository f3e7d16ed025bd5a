import { parse, text } from '#contract'
import { find, findOne, not, oneOf } from '#db'
import type { PluginContext } from '#plugin-host'
import type { GarbageType } from '#plugins/garbage-collector/contract/extensions.ts'
import { submitGarbage } from '#plugins/garbage-collector/contract/messages.ts'
import { type Host, host } from '#plugins/host/contract/resources.ts'
import { hostStatus } from '#plugins/host/contract/states.ts'
import { l2NetworkClusterRef } from '#plugins/l2-network/contract/resources.ts'
import { l3Network } from '#plugins/l3-network/contract/resources.ts'
import { networkServiceDriver } from './contract/extensions.ts'
import { driversOf } from './serve-nics.ts'

export const NETWORK_LEFT = 'network-service.network'

const contextShape = {
  hostUuid: text('The host.'),
  l3NetworkUuid: text('The network.'),
  providerType: text('Type of the provider.'),
}

/** Hosts that may have something of a network and cannot be reached now. */
export async function awayHostsOf(ctx: Pick<PluginContext, 'db'>, l3NetworkUuid: string): Promise<Host[]> {
  const l3 = await findOne(ctx.db, l3Network, { uuid: l3NetworkUuid })
  if (l3 === undefined) return []
  const refs = await find(ctx.db, l2NetworkClusterRef, { l2NetworkUuid: l3.l2NetworkUuid })
  const clusterUuid = oneOf(refs.map((ref) => ref.clusterUuid))
  return find(ctx.db, host, { clusterUuid, status: not<string>(hostStatus.connected) })
}

/** Has what providers keep of a network removed later from hosts that are away. It serves nobody any more. */
export async function leaveNetwork(
  ctx: Pick<PluginContext, 'bus' | 'db'>,
  l3NetworkUuid: string,
  { providerTypes, hosts }: { readonly providerTypes: readonly string[]; readonly hosts: readonly Host[] },
): Promise<void> {
  const networkName = (await findOne(ctx.db, l3Network, { uuid: l3NetworkUuid }))?.name ?? l3NetworkUuid
  for (const { uuid: hostUuid, name } of hosts) {
    for (const providerType of providerTypes) {
      await ctx.bus.call(submitGarbage, {
        name: `the ${providerType} network services of L3 network ${networkName} on host ${name}`,
        type: NETWORK_LEFT,
        subject: `${providerType}:${l3NetworkUuid}@${hostUuid}`,
        context: { hostUuid, l3NetworkUuid, providerType },
        hostUuid,
      })
    }
  }
}

/** Removes it, unless the network is there with services of the provider again: those set up what they need themselves. */
export function networkLeft(ctx: PluginContext): GarbageType {
  return {
    collect: async (context) => {
      const { hostUuid, l3NetworkUuid, providerType } = parse(contextShape, context, 'the job')
      const row = await findOne(ctx.db, host, { uuid: hostUuid })
      if (row === undefined) return
      const driver = ctx.driver(networkServiceDriver, providerType)
      if ((await isOnHost(ctx, l3NetworkUuid, row)) && (await driversOf(ctx, l3NetworkUuid)).includes(driver))
        return
      await driver.networkDeleted(l3NetworkUuid, [hostUuid])
    },
  }
}

async function isOnHost(
  { db }: PluginContext,
  l3NetworkUuid: string,
  { clusterUuid }: Host,
): Promise<boolean> {
  const l3 = await findOne(db, l3Network, { uuid: l3NetworkUuid })
  if (l3 === undefined) return false
  const { l2NetworkUuid } = l3
  return (await findOne(db, l2NetworkClusterRef, { l2NetworkUuid, clusterUuid })) !== undefined
}
