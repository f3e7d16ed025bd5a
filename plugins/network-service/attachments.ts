import { find, findOne, insert, remove, type Session, type Tx } from '#db'
import { CloudError, type ErrorCode } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { networkServiceErrors } from './contract/errors.ts'
import { networkServiceDriver } from './contract/extensions.ts'
import { type NetworkServiceL3NetworkRef, networkServiceL3NetworkRef } from './contract/resources.ts'
import { providersByUuid } from './providers.ts'

type Context = Pick<PluginContext, 'db' | 'driver'>

/** Adds services to a network and returns those it did not have. Throws NWS.1000 when another provider gives one already. */
export async function attachServices(
  ctx: Context,
  refs: readonly NetworkServiceL3NetworkRef[],
): Promise<NetworkServiceL3NetworkRef[]> {
  return ctx.db.write(async (tx) => {
    const added: NetworkServiceL3NetworkRef[] = []
    for (const ref of refs) {
      const { l3NetworkUuid, networkServiceType: service } = ref
      const there = await findOne(tx, networkServiceL3NetworkRef, {
        l3NetworkUuid,
        networkServiceType: service,
      })
      if (there === undefined) {
        await insert(tx, networkServiceL3NetworkRef, ref)
        added.push(ref)
        continue
      }
      if (there.networkServiceProviderUuid === ref.networkServiceProviderUuid) continue
      const holder = (await providersByUuid(tx)).get(there.networkServiceProviderUuid)
      const what = `L3 network[uuid:${l3NetworkUuid}] has ${service} from the provider ${holder?.type}[uuid:${holder?.uuid}]`
      throw new CloudError(networkServiceErrors.attach, `${what} already; detach it there first`)
    }
    await checkNeeds(ctx, tx, refs, networkServiceErrors.attach)
    return added
  })
}

/** Takes services away from a network. Throws NWS.1001 on one that another one needs. */
export async function detachServices(
  ctx: Context,
  refs: readonly NetworkServiceL3NetworkRef[],
): Promise<void> {
  await ctx.db.write(async (tx) => {
    for (const ref of refs) await remove(tx, networkServiceL3NetworkRef, ref)
    await checkNeeds(ctx, tx, refs, networkServiceErrors.detach)
  })
}

/** Throws NWS.1001 on a service the network does not have. */
export async function requireServices(
  db: Session,
  refs: readonly NetworkServiceL3NetworkRef[],
): Promise<void> {
  for (const ref of refs) {
    if ((await findOne(db, networkServiceL3NetworkRef, ref)) !== undefined) continue
    const what = `L3 network[uuid:${ref.l3NetworkUuid}] has no service ${ref.networkServiceType} of this provider`
    throw new CloudError(networkServiceErrors.detach, what)
  }
}

async function checkNeeds(
  ctx: Context,
  tx: Tx,
  refs: readonly NetworkServiceL3NetworkRef[],
  code: ErrorCode,
): Promise<void> {
  const providers = await providersByUuid(tx)
  for (const { l3NetworkUuid, networkServiceProviderUuid } of refs) {
    const type = providers.get(networkServiceProviderUuid)?.type ?? ''
    const needs = ctx.driver(networkServiceDriver, type).services
    const rows = await find(tx, networkServiceL3NetworkRef, { l3NetworkUuid, networkServiceProviderUuid })
    const has = new Set(rows.map((row) => row.networkServiceType))
    for (const service of has) {
      const missing = (needs[service] ?? []).filter((other) => !has.has(other))
      if (missing.length === 0) continue
      const details = `${service} of the provider ${type} works only together with ${missing.join(', ')}; name both`
      throw new CloudError(code, `${details} (L3 network[uuid:${l3NetworkUuid}])`)
    }
  }
}
