import type { Client } from '#client'
import { createL2NoVlanNetwork, queryL2Network } from '#plugins/l2-network/contract/apis.ts'
import { attachL2NetworkToCluster } from '#plugins/l2-network/contract/cluster-apis.ts'
import { createL3Network, queryL3Network } from '#plugins/l3-network/contract/apis.ts'
import { addDnsToL3Network } from '#plugins/l3-network/contract/dns-apis.ts'
import { addIpRange, queryIpRange } from '#plugins/l3-network/contract/ip-range-apis.ts'
import {
  attachNetworkServiceToL3Network,
  queryNetworkServiceProvider,
} from '#plugins/network-service/contract/apis.ts'
import { ensure, uuidOf } from './resources.ts'

export interface DemoNetwork {
  readonly startIp: string
  readonly endIp: string
  readonly netmask: string
  readonly gateway: string
  readonly dns: string
}

/** The public network of the demo: flat, with DHCP and user data, the lab's switch as its gateway. Returns the L3's uuid. */
export async function ensureNetwork(
  client: Client,
  zoneUuid: string,
  clusterUuid: string,
  network: DemoNetwork,
): Promise<string> {
  const l2 = await ensure(client, queryL2Network, 'public-l2', createL2NoVlanNetwork, {
    name: 'public-l2',
    zoneUuid,
    physicalInterface: 'eth1',
  })
  const l2NetworkUuid = uuidOf(l2)
  if (!(l2.attachedClusterUuids as string[] | undefined)?.includes(clusterUuid)) {
    await client.call(attachL2NetworkToCluster, { l2NetworkUuid, clusterUuid })
  }
  const l3 = await ensure(client, queryL3Network, 'public', createL3Network, {
    name: 'public',
    l2NetworkUuid,
  })
  const l3NetworkUuid = uuidOf(l3)
  const { dns, ...range } = network
  await ensure(client, queryIpRange, 'public-range', addIpRange, {
    l3NetworkUuid,
    name: 'public-range',
    ...range,
  })
  if (!(l3.dns as string[] | undefined)?.includes(dns))
    await client.call(addDnsToL3Network, { l3NetworkUuid, dns })
  if (((l3.networkServices as unknown[] | undefined) ?? []).length === 0) {
    const { inventories } = await client.query(queryNetworkServiceProvider, ['type=Flat'])
    const networkServices = { [String(inventories[0]?.uuid)]: ['DHCP', 'Userdata'] }
    await client.call(attachNetworkServiceToL3Network, { l3NetworkUuid, networkServices })
  }
  return l3NetworkUuid
}
