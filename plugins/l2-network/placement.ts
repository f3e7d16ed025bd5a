import { type Database, find, findOne, get, oneOf } from '#db'
import { CloudError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { clusterHook } from '#plugins/cluster/contract/extensions.ts'
import { hostFilter, hostHook, type Rejection } from '#plugins/host/contract/extensions.ts'
import type { Host } from '#plugins/host/contract/resources.ts'
import { hostStatus } from '#plugins/host/contract/states.ts'
import { l3Network } from '#plugins/l3-network/contract/resources.ts'
import { zoneHook } from '#plugins/zone/contract/extensions.ts'
import { bridgeOf } from './bridge-name.ts'
import { bridgeOfL3 } from './contract/messages.ts'
import { type L2Network, l2Network, l2NetworkClusterRef } from './contract/resources.ts'
import { type Attaching, attachmentKey } from './handlers.ts'
import { createBridges, tryRemoveBridges } from './host-bridges.ts'

/** Tells other plugins where networks are, and follows hosts, clusters and zones as they come and go. */
export function joinPlacement(ctx: PluginContext, attaching: Attaching): void {
  const { db } = ctx
  ctx.serve(bridgeOfL3, async ({ l3NetworkUuid }) => {
    const { l2NetworkUuid } = await get(db, l3Network, l3NetworkUuid)
    return bridgeOf(await get(db, l2Network, l2NetworkUuid))
  })

  ctx.hook(hostFilter, {
    name: 'L2 network',
    filter: (hosts, spec) => rejectUnattached(db, attaching, hosts, spec.l3NetworkUuids),
  })

  ctx.hook(hostHook, {
    connected: async (host) => {
      for (const network of await networksOfCluster(db, host.clusterUuid))
        await createBridges(ctx, network, [host])
    },
    deleting: async (host) => {
      if (host.status !== hostStatus.connected) return
      for (const network of await networksOfCluster(db, host.clusterUuid))
        await tryRemoveBridges(ctx, network, [host])
    },
  })

  ctx.hook(zoneHook, {
    beforeDelete: async (zoneUuid) => {
      refuseLeft(await find(db, l2Network, { zoneUuid }, { orderBy: ['name'] }), 'zone', 'delete')
    },
  })
  ctx.hook(clusterHook, {
    beforeDelete: async (clusterUuid) => {
      refuseLeft(await networksOfCluster(db, clusterUuid), 'cluster', 'detach')
    },
  })
}

async function networksOfCluster(db: Database, clusterUuid: string): Promise<L2Network[]> {
  const refs = await find(db, l2NetworkClusterRef, { clusterUuid })
  return find(db, l2Network, { uuid: oneOf(refs.map((ref) => ref.l2NetworkUuid)) }, { orderBy: ['name'] })
}

function refuseLeft(networks: readonly L2Network[], what: string, verb: string): void {
  if (networks.length === 0) return
  const names = networks.map((network) => `'${network.name}'[uuid:${network.uuid}]`).join(', ')
  throw new CloudError(
    sysErrors.deleteResource,
    `the ${what} still has the L2 networks ${names}; ${verb} them first`,
  )
}

async function rejectUnattached(
  db: Database,
  attaching: Attaching,
  hosts: readonly Host[],
  l3NetworkUuids: readonly string[],
): Promise<Rejection[]> {
  const rejections: Rejection[] = []
  for (const uuid of new Set(l3NetworkUuids)) {
    const l3 = await get(db, l3Network, uuid)
    const l2 = await findOne(db, l2Network, { uuid: l3.l2NetworkUuid })
    const refs = await find(db, l2NetworkClusterRef, { l2NetworkUuid: l3.l2NetworkUuid })
    const ready = refs.filter((ref) => !attaching.has(attachmentKey(ref.l2NetworkUuid, ref.clusterUuid)))
    const clusters = new Set(ready.map((ref) => ref.clusterUuid))
    const network = `L2 network '${l2?.name}'[uuid:${l3.l2NetworkUuid}] of L3 network '${l3.name}'[uuid:${uuid}]`
    for (const host of hosts) {
      if (clusters.has(host.clusterUuid)) continue
      const reason = `${network} is not attached to its cluster[uuid:${host.clusterUuid}]`
      rejections.push({ hostUuid: host.uuid, reason })
    }
  }
  return rejections
}
