import { deleteBridge } from '#agents/kvm-host/contract/network.ts'
import { parse, text } from '#contract'
import { type Database, find, findOne, oneOf } from '#db'
import type { PluginContext } from '#plugin-host'
import type { GarbageType } from '#plugins/garbage-collector/contract/extensions.ts'
import { submitGarbage } from '#plugins/garbage-collector/contract/messages.ts'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import { type Host, host } from '#plugins/host/contract/resources.ts'
import { bridgeOf } from './bridge-name.ts'
import { l2Hook } from './contract/extensions.ts'
import { type L2Network, l2Network, l2NetworkClusterRef } from './contract/resources.ts'
import { createBridges } from './host-bridges.ts'

export const BRIDGE_LEFT = 'l2-network.bridge'

const contextShape = {
  hostUuid: text('The host.'),
  l2NetworkUuid: text('The network.'),
  bridge: text('The bridge.'),
  physicalInterface: text('Its interface.'),
}

/** Has the bridges of a network removed later from hosts that are away or refused. Idle bridges hold back nobody. */
export async function leaveBridges(
  ctx: Pick<PluginContext, 'bus' | 'hooks'>,
  network: L2Network,
  hosts: readonly Host[],
): Promise<void> {
  for (const hook of ctx.hooks(l2Hook)) await hook.left?.(network, hosts)
  const there = bridgeOf(network)
  for (const { uuid: hostUuid, name } of hosts) {
    await ctx.bus.call(submitGarbage, {
      name: `the bridge ${there.bridge} of L2 network ${network.name} on host ${name}`,
      type: BRIDGE_LEFT,
      subject: `${network.uuid}@${hostUuid}`,
      context: { hostUuid, l2NetworkUuid: network.uuid, ...there },
      hostUuid,
    })
  }
}

/** Removes such a bridge, unless a network of its interface has come to the host's cluster meanwhile. */
export function bridgeLeft(ctx: PluginContext): GarbageType {
  return {
    collect: async (context) => {
      const { hostUuid, l2NetworkUuid, ...there } = parse(contextShape, context, 'the job')
      const row = await findOne(ctx.db, host, { uuid: hostUuid })
      if (row === undefined || (await findUser(ctx.db, row, there.bridge)) !== undefined) return
      const network = await findOne(ctx.db, l2Network, { uuid: l2NetworkUuid })
      if (network !== undefined) for (const hook of ctx.hooks(l2Hook)) await hook.leaving?.(network, [row])
      await (await agentOfHost(ctx, hostUuid)).call(deleteBridge, there)
      // Attached while it was being removed: what was made then may be what is gone now.
      const user = await findUser(ctx.db, row, there.bridge)
      if (user !== undefined) await createBridges(ctx, user, [row])
    },
  }
}

/** The network that wants the bridge on the host. */
async function findUser(db: Database, { clusterUuid }: Host, bridge: string): Promise<L2Network | undefined> {
  const refs = await find(db, l2NetworkClusterRef, { clusterUuid })
  const networks = await find(db, l2Network, { uuid: oneOf(refs.map((ref) => ref.l2NetworkUuid)) })
  return networks.find((network) => bridgeOf(network).bridge === bridge)
}
