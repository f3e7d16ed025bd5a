import { find, remove } from '#db'
import { CloudError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { l2Hook } from '#plugins/l2-network/contract/extensions.ts'
import { l3Hook } from '#plugins/l3-network/contract/extensions.ts'
import { l3Network } from '#plugins/l3-network/contract/resources.ts'
import { attachServices, detachServices, requireServices } from './attachments.ts'
import {
  attachNetworkServiceToL3Network,
  detachNetworkServiceFromL3Network,
  getNetworkServiceTypes,
} from './contract/apis.ts'
import { networkServiceErrors } from './contract/errors.ts'
import { networkServiceDriver } from './contract/extensions.ts'
import { applyServices, removeServices, restoreServices } from './contract/messages.ts'
import {
  type NetworkServiceL3NetworkRef,
  networkServiceL3NetworkRef,
  networkServiceType,
} from './contract/resources.ts'
import type { DetachWorkflow } from './detach-services.ts'
import { awayHostsOf, leaveNetwork } from './left-network.ts'
import { bad, providersByUuid, resolveServices } from './providers.ts'
import {
  applyTo,
  driversOf,
  hostsOfNetwork,
  nicsByProvider,
  providerTypesOf,
  refreshNetwork,
} from './serve-nics.ts'

/** Serves the APIs of network services. */
export function handleNetworkServices(ctx: PluginContext, detachment: DetachWorkflow): void {
  const { db } = ctx
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(l3Network, uuid) })
  // The queue of the network's own changes: hosts are told of one state after the other.
  const key = (input: { l3NetworkUuid: string }) => `l3:${input.l3NetworkUuid}`

  ctx.handle(
    attachNetworkServiceToL3Network,
    async ({ l3NetworkUuid, networkServices }) => {
      const added = await attachServices(ctx, await resolveServices(ctx, l3NetworkUuid, networkServices))
      try {
        await refreshNetwork(ctx, l3NetworkUuid)
      } catch (error) {
        // A provider cannot serve this network, for want of an address for example: it keeps what it had.
        if (added.length > 0) await detachServices(ctx, added)
        throw error
      }
      return view(l3NetworkUuid)
    },
    { key },
  )

  ctx.handle(
    detachNetworkServiceFromL3Network,
    async ({ l3NetworkUuid, networkServices, service }, call) => {
      const refs =
        service === undefined
          ? await resolveServices(ctx, l3NetworkUuid, networkServices ?? {})
          : await refsOfService(ctx, l3NetworkUuid, service)
      await requireServices(db, refs)
      return call.run(detachment, { l3NetworkUuid, refs })
    },
    { key },
  )

  ctx.handle(getNetworkServiceTypes, async () => {
    const providers = await providersByUuid(db)
    const byService = Map.groupBy(await find(db, networkServiceType, {}), (row) => row.type)
    const types = [...byService].map(([service, rows]) => {
      return [service, rows.map((row) => providers.get(row.networkServiceProviderUuid)?.type)]
    })
    return { types: Object.fromEntries(types) }
  })
}

/** Serves the messages by which VMs and hosts get their services, and follows networks as they change and go. */
export function serveNetworkServices(ctx: PluginContext): void {
  const { db } = ctx
  ctx.serve(applyServices, (input) => applyTo(ctx, input))
  ctx.serve(removeServices, async ({ hostUuid, nics }) => {
    for (const [type, served] of await nicsByProvider(ctx, nics)) {
      await ctx.driver(networkServiceDriver, type).removeNics(hostUuid, served)
    }
  })
  ctx.serve(restoreServices, async ({ hostUuid, nics }) => {
    const byProvider = await nicsByProvider(ctx, nics)
    for (const [type, driver] of ctx.drivers(networkServiceDriver)) {
      await driver.restoreHost(hostUuid, byProvider.get(type) ?? [])
    }
  })

  ctx.hook(l3Hook, {
    changed: (network) => refreshNetwork(ctx, network.uuid),
    deleting: async ({ uuid }) => {
      const hosts = await hostsOfNetwork(ctx, uuid)
      for (const driver of await driversOf(ctx, uuid)) await driver.networkDeleted(uuid, hosts)
      const away = await awayHostsOf(ctx, uuid)
      await leaveNetwork(ctx, uuid, { providerTypes: await providerTypesOf(ctx, uuid), hosts: away })
    },
    deleted: async (l3NetworkUuid) => {
      await db.write((tx) => remove(tx, networkServiceL3NetworkRef, { l3NetworkUuid }))
    },
  })
  ctx.hook(l2Hook, {
    leaving: async (l2, hosts) => {
      const hostUuids = hosts.map((host) => host.uuid)
      for (const { uuid } of await find(db, l3Network, { l2NetworkUuid: l2.uuid })) {
        for (const driver of await driversOf(ctx, uuid)) await driver.networkDeleted(uuid, hostUuids)
      }
    },
    left: async (l2, hosts) => {
      for (const { uuid } of await find(db, l3Network, { l2NetworkUuid: l2.uuid }))
        await leaveNetwork(ctx, uuid, { providerTypes: await providerTypesOf(ctx, uuid), hosts })
    },
  })
}

async function refsOfService(
  ctx: Pick<PluginContext, 'db'>,
  l3NetworkUuid: string,
  service: string,
): Promise<NetworkServiceL3NetworkRef[]> {
  if (service === '') throw bad('or service must name what to take away')
  const refs = await find(ctx.db, networkServiceL3NetworkRef, { l3NetworkUuid })
  const named = refs.filter((ref) => ref.networkServiceType === service)
  if (named.length > 0) return named
  const has = refs.map((ref) => ref.networkServiceType).join(', ') || 'none'
  const details = `L3 network[uuid:${l3NetworkUuid}] has no service '${service}'; it has ${has}`
  throw new CloudError(networkServiceErrors.detach, details)
}
