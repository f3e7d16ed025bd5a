import type { CallInput } from '#agent-rpc'
import {
  addFlatLeases,
  applyFlatNetwork,
  deleteFlatNetwork,
  removeFlatLeases,
} from '#agents/kvm-host/contract/network.ts'
import { find, get } from '#db'
import { Limiter } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { agentOfHost } from '#plugins/host/contract/agent-of-host.ts'
import { bridgeOfL3 } from '#plugins/l2-network/contract/messages.ts'
import { ipRange, l3Network, l3NetworkDns } from '#plugins/l3-network/contract/resources.ts'
import type { NetworkServiceDriver, ServedNic } from '#plugins/network-service/contract/extensions.ts'
import { dhcpAddress } from './dhcp-address.ts'
import { leaseOf } from './lease.ts'
import { servedNetworks } from './served-networks.ts'

type Context = Pick<PluginContext, 'db' | 'bus' | 'driver' | 'log'>
type NetworkInput = Omit<CallInput<typeof applyFlatNetwork>, 'leases'>

// Commands under way at the same time, to one host or to all hosts of a network.
const PARALLEL_CALLS = 50

/**
 * Network services without a router VM: each host answers DHCP and serves metadata for the VMs that run on it, in one namespace
 * for each network, under the same address everywhere.
 */
export function createFlatDriver(ctx: Context): NetworkServiceDriver {
  const clientOf = (hostUuid: string) => agentOfHost(ctx, hostUuid)
  return {
    name: 'Flat Network Service Provider',
    description: 'DHCP, metadata and user data from each host, for the VMs that run there',
    services: { DHCP: [], Userdata: ['DHCP'] },
    prepareNetwork: async (l3NetworkUuid) => {
      // Before it has a range there is nothing to choose from; the range's arrival comes by here again.
      if ((await find(ctx.db, ipRange, { l3NetworkUuid }, { limit: 1 })).length > 0) {
        await dhcpAddress(ctx, l3NetworkUuid)
      }
    },
    applyNics: async (hostUuid, nics) => {
      const client = await clientOf(hostUuid)
      await onEach(byNetwork(nics), async ([l3NetworkUuid, own]) => {
        const network = await describeNetwork(ctx, l3NetworkUuid)
        await client.call(addFlatLeases, { ...network, leases: own.map(leaseOf) })
      })
    },
    removeNics: async (hostUuid, nics) => {
      const client = await clientOf(hostUuid)
      await onEach(byNetwork(nics), async ([l3NetworkUuid, own]) => {
        await client.call(removeFlatLeases, { l3NetworkUuid, macs: own.map((nic) => nic.mac) })
      })
    },
    restoreHost: async (hostUuid, nics) => {
      const client = await clientOf(hostUuid)
      const wanted = new Map(byNetwork(nics))
      const idle = (await servedNetworks(ctx.db, hostUuid)).filter((uuid) => !wanted.has(uuid))
      await onEach(idle, async (l3NetworkUuid) => {
        await client.call(deleteFlatNetwork, { l3NetworkUuid })
      })
      await onEach([...wanted], async ([l3NetworkUuid, own]) => {
        const network = await describeNetwork(ctx, l3NetworkUuid)
        await client.call(applyFlatNetwork, { ...network, leases: own.map(leaseOf) })
      })
    },
    networkDeleted: (l3NetworkUuid, hostUuids) =>
      onEach(hostUuids, async (hostUuid) => {
        await (await clientOf(hostUuid)).call(deleteFlatNetwork, { l3NetworkUuid })
      }),
  }
}

/** NICs that get DHCP, by network. */
function byNetwork(nics: readonly ServedNic[]): [string, ServedNic[]][] {
  const served = nics.filter((nic) => nic.services.includes('DHCP'))
  return [...Map.groupBy(served, (nic) => nic.l3NetworkUuid)]
}

async function describeNetwork(ctx: Context, l3NetworkUuid: string): Promise<NetworkInput> {
  const network = await get(ctx.db, l3Network, l3NetworkUuid)
  const { bridge, physicalInterface } = await ctx.bus.call(bridgeOfL3, { l3NetworkUuid })
  const { ip, netmask, gateway } = await dhcpAddress(ctx, l3NetworkUuid)
  const dns = await find(ctx.db, l3NetworkDns, { l3NetworkUuid }, { orderBy: ['createDate', 'dns'] })
  return {
    l3NetworkUuid,
    bridge,
    physicalInterface,
    dhcpServerIp: ip,
    netmask: netmask ?? '',
    gateway,
    dns: dns.map((row) => row.dns),
    domain: network.dnsDomain,
  }
}

/** Works on all items, several at a time; when some fail, throws the first failure after all have ended. */
async function onEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const limiter = new Limiter(() => PARALLEL_CALLS)
  const results = await Promise.allSettled(items.map((item) => limiter.run(() => work(item))))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
