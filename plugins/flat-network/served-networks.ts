import { type Database, find, get, oneOf } from '#db'
import { host } from '#plugins/host/contract/resources.ts'
import { l2NetworkClusterRef } from '#plugins/l2-network/contract/resources.ts'
import { l3Network } from '#plugins/l3-network/contract/resources.ts'
import {
  networkServiceL3NetworkRef,
  networkServiceProvider,
} from '#plugins/network-service/contract/resources.ts'
import { FLAT } from './flat-type.ts'

/** Networks a host may have a namespace of: those of its cluster with services of this provider. */
export async function servedNetworks(db: Database, hostUuid: string): Promise<string[]> {
  const { clusterUuid } = await get(db, host, hostUuid)
  const l2s = (await find(db, l2NetworkClusterRef, { clusterUuid })).map((ref) => ref.l2NetworkUuid)
  const l3s = (await find(db, l3Network, { l2NetworkUuid: oneOf(l2s) })).map((network) => network.uuid)
  const providers = (await find(db, networkServiceProvider, { type: FLAT })).map((provider) => provider.uuid)
  const served = {
    l3NetworkUuid: oneOf(l3s),
    networkServiceProviderUuid: oneOf(providers),
    networkServiceType: 'DHCP',
  }
  return (await find(db, networkServiceL3NetworkRef, served)).map((ref) => ref.l3NetworkUuid)
}
