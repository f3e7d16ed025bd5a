import { find, findOne, insert, type Session } from '#db'
import { CloudError, newUuid, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { networkServiceDriver } from './contract/extensions.ts'
import {
  type NetworkServiceL3NetworkRef,
  type NetworkServiceProvider,
  networkServiceProvider,
  networkServiceType,
} from './contract/resources.ts'

/** Gives every loaded driver its provider row, made once, and every service of it its type row. */
export async function ensureProviders(ctx: Pick<PluginContext, 'db' | 'drivers'>): Promise<void> {
  for (const [type, { name, description, services }] of ctx.drivers(networkServiceDriver)) {
    await ctx.db.write(async (tx) => {
      const known = await findOne(tx, networkServiceProvider, { type })
      const now = Date.now()
      const row = known ?? { uuid: newUuid(), name, description, type, createDate: now, lastOpDate: now }
      if (known === undefined) await insert(tx, networkServiceProvider, row)
      for (const service of Object.keys(services)) {
        const key = { networkServiceProviderUuid: row.uuid, type: service }
        if ((await findOne(tx, networkServiceType, key)) === undefined)
          await insert(tx, networkServiceType, key)
      }
    })
  }
}

/**
 * Turns what a client sent, `{ provider: [services] }` with a provider's uuid, type or name, into rows. Throws SYS.1007 naming
 * what is unknown and what there is.
 */
export async function resolveServices(
  ctx: Pick<PluginContext, 'db' | 'driver'>,
  l3NetworkUuid: string,
  networkServices: Readonly<Record<string, readonly string[]>>,
): Promise<NetworkServiceL3NetworkRef[]> {
  const providers = await find(ctx.db, networkServiceProvider, {}, { orderBy: ['name'] })
  const refs: NetworkServiceL3NetworkRef[] = []
  for (const [key, services] of Object.entries(networkServices)) {
    const provider = providers.find((p) => [p.uuid, p.type, p.name].includes(key))
    if (provider === undefined) {
      const known = providers.map((p) => `${p.type}[uuid:${p.uuid}]`).join(', ') || 'none'
      throw bad(`no network service provider has the uuid, type or name '${key}'; there are: ${known}`)
    }
    const offered = Object.keys(ctx.driver(networkServiceDriver, provider.type).services)
    if (services.length === 0)
      throw bad(`no service is named for ${provider.type}; it offers ${offered.join(', ')}`)
    for (const service of new Set(services)) {
      if (!offered.includes(service)) {
        throw bad(
          `the provider ${provider.type} has no service '${service}'; it offers ${offered.join(', ')}`,
        )
      }
      refs.push({ l3NetworkUuid, networkServiceProviderUuid: provider.uuid, networkServiceType: service })
    }
  }
  if (refs.length === 0) throw bad('names no provider')
  return refs
}

/** Providers by uuid. */
export async function providersByUuid(db: Session): Promise<Map<string, NetworkServiceProvider>> {
  return new Map((await find(db, networkServiceProvider, {})).map((provider) => [provider.uuid, provider]))
}

export function bad(reason: string): CloudError {
  return new CloudError(sysErrors.invalidArgument, `field[networkServices] ${reason}`, {
    opaque: { field: 'networkServices' },
  })
}
