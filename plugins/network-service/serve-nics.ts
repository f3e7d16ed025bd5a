import { find, findOne, notNull, oneOf } from '#db'
import { describeError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { host } from '#plugins/host/contract/resources.ts'
import { hostStatus } from '#plugins/host/contract/states.ts'
import { l2NetworkClusterRef } from '#plugins/l2-network/contract/resources.ts'
import { l3Network } from '#plugins/l3-network/contract/resources.ts'
import { convergeServices, nicsOnHost } from '#plugins/vm/contract/messages.ts'
import { vmInstance, vmNic } from '#plugins/vm/contract/resources.ts'
import { type NetworkServiceDriver, networkServiceDriver, type ServedNic } from './contract/extensions.ts'
import type { NicsOnHost } from './contract/messages.ts'
import { networkServiceL3NetworkRef } from './contract/resources.ts'
import { providersByUuid } from './providers.ts'

type Nic = NicsOnHost['nics'][number]

// Keys in one statement.
const CHUNK = 5_000

/** Hands NICs to the providers that serve their networks: `type` of provider to its NICs, with the services they get. */
export async function nicsByProvider(
  ctx: Pick<PluginContext, 'db'>,
  nics: readonly Nic[],
): Promise<Map<string, ServedNic[]>> {
  const l3NetworkUuids = [...new Set(nics.map((nic) => nic.l3NetworkUuid))]
  const refs = await find(ctx.db, networkServiceL3NetworkRef, { l3NetworkUuid: oneOf(l3NetworkUuids) })
  const providers = await providersByUuid(ctx.db)
  const byProvider = new Map<string, ServedNic[]>()
  for (const [providerUuid, own] of Map.groupBy(refs, (ref) => ref.networkServiceProviderUuid)) {
    const byNetwork = Map.groupBy(own, (ref) => ref.l3NetworkUuid)
    const served = nics.flatMap((nic) => {
      const services = byNetwork.get(nic.l3NetworkUuid)?.map((ref) => ref.networkServiceType)
      return services === undefined ? [] : [{ ...nic, services }]
    })
    byProvider.set(providers.get(providerUuid)?.type ?? '', served)
  }
  return byProvider
}

/** Types of the providers of one network's services. */
export async function providerTypesOf(
  ctx: Pick<PluginContext, 'db'>,
  l3NetworkUuid: string,
): Promise<string[]> {
  const refs = await find(ctx.db, networkServiceL3NetworkRef, { l3NetworkUuid })
  const providers = await providersByUuid(ctx.db)
  return [...new Set(refs.map((ref) => providers.get(ref.networkServiceProviderUuid)?.type ?? ''))]
}

/** Providers of one network's services. */
export async function driversOf(
  ctx: Pick<PluginContext, 'db' | 'driver'>,
  l3NetworkUuid: string,
): Promise<NetworkServiceDriver[]> {
  const types = await providerTypesOf(ctx, l3NetworkUuid)
  return types.map((type) => ctx.driver(networkServiceDriver, type))
}

/** Hosts that can be reached and may have something of the network. */
export async function hostsOfNetwork(
  ctx: Pick<PluginContext, 'db'>,
  l3NetworkUuid: string,
): Promise<string[]> {
  const l3 = await findOne(ctx.db, l3Network, { uuid: l3NetworkUuid })
  if (l3 === undefined) return []
  const refs = await find(ctx.db, l2NetworkClusterRef, { l2NetworkUuid: l3.l2NetworkUuid })
  const clusterUuid = oneOf(refs.map((ref) => ref.clusterUuid))
  return (await find(ctx.db, host, { clusterUuid, status: hostStatus.connected })).map((row) => row.uuid)
}

/**
 * Tells providers that a network changed, and then every host that runs VMs of it. A host that fails is logged and not waited
 * for: it gets the same with the next VM or when it is connected again.
 */
export async function refreshNetwork(
  ctx: Pick<PluginContext, 'db' | 'driver' | 'bus' | 'log'>,
  l3NetworkUuid: string,
): Promise<void> {
  const drivers = await driversOf(ctx, l3NetworkUuid)
  if (drivers.length === 0) return
  for (const driver of drivers) await driver.prepareNetwork?.(l3NetworkUuid)
  const reachable = new Set(await hostsOfNetwork(ctx, l3NetworkUuid))
  const hosts = (await hostsWithVms(ctx, l3NetworkUuid)).filter((uuid) => reachable.has(uuid))
  await Promise.all(
    hosts.map(async (hostUuid) => {
      try {
        const nics = (await ctx.bus.call(nicsOnHost, { hostUuid })).filter(
          (nic) => nic.l3NetworkUuid === l3NetworkUuid,
        )
        await applyTo(ctx, { hostUuid, nics })
        await ctx.bus.call(convergeServices, { hostUuid, nics })
      } catch (error) {
        ctx.log.warn(
          { hostUuid, l3NetworkUuid, err: describeError(error) },
          'a host could not be told of a changed network',
        )
      }
    }),
  )
}

/** Makes the services of NICs work on their host. */
export async function applyTo(
  ctx: Pick<PluginContext, 'db' | 'driver'>,
  { hostUuid, nics }: NicsOnHost,
): Promise<void> {
  for (const [type, served] of await nicsByProvider(ctx, nics)) {
    await ctx.driver(networkServiceDriver, type).applyNics(hostUuid, served)
  }
}

async function hostsWithVms(ctx: Pick<PluginContext, 'db'>, l3NetworkUuid: string): Promise<string[]> {
  const nics = await find(ctx.db, vmNic, { l3NetworkUuid })
  const vmUuids = [...new Set(nics.flatMap((nic) => nic.vmInstanceUuid ?? []))]
  const hosts = new Set<string>()
  for (let at = 0; at < vmUuids.length; at += CHUNK) {
    const where = { uuid: oneOf(vmUuids.slice(at, at + CHUNK)), hostUuid: notNull }
    for (const vm of await find(ctx.db, vmInstance, where)) hosts.add(vm.hostUuid ?? '')
  }
  return [...hosts]
}
