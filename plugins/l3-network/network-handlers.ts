import { type Database, find, findOne, get, insert, oneOf, remove, update } from '#db'
import { CloudError, describeError, newUuid, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { l2Network } from '#plugins/l2-network/contract/resources.ts'
import { createWithTags } from '#plugins/tag/contract/with-tags.ts'
import { vmInstance, vmNic } from '#plugins/vm/contract/resources.ts'
import { changeL3NetworkState, createL3Network, deleteL3Network, updateL3Network } from './contract/apis.ts'
import { addDnsToL3Network, removeDnsFromL3Network } from './contract/dns-apis.ts'
import { l3Hook } from './contract/extensions.ts'
import { l3Network, l3NetworkDns, usedIp } from './contract/resources.ts'
import { l3State, l3StateAfter } from './contract/states.ts'
import type { DeleteL3Workflow } from './delete-network.ts'
import { invalid, parseAddress } from './ipv4.ts'

// What the DHCP server of a host accepts as its domain.
const DOMAIN = /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/

/** Serves the APIs of L3 networks and their name servers. */
export function handleNetworks(ctx: PluginContext, deletion: DeleteL3Workflow): void {
  const { db } = ctx
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(l3Network, uuid) })
  const key = (input: { uuid: string }) => l3Key(input.uuid)
  const dnsKey = (input: { l3NetworkUuid: string }) => l3Key(input.l3NetworkUuid)

  ctx.handle(createL3Network, async (input) => {
    checkKind(input)
    const uuid = input.resourceUuid ?? newUuid()
    await createWithTags(ctx, { type: 'L3NetworkVO', uuid }, input, () => addNetwork(db, uuid, input))
    return view(uuid)
  })

  ctx.handle(
    updateL3Network,
    async ({ uuid, name, description, dnsDomain, category, system }) => {
      checkDomain(dnsDomain)
      const given = { name, description, dnsDomain: dnsDomain === '' ? null : dnsDomain, category, system }
      const patch = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
      await db.write((tx) => update(tx, l3Network, { uuid }, { ...patch, lastOpDate: Date.now() }))
      if (dnsDomain !== undefined) await tellChanged(ctx, uuid)
      return view(uuid)
    },
    { key },
  )

  ctx.handle(
    changeL3NetworkState,
    async ({ uuid, stateEvent }) => {
      const state = l3StateAfter[stateEvent]
      await db.write((tx) => update(tx, l3Network, { uuid }, { state, lastOpDate: Date.now() }))
      return view(uuid)
    },
    { key },
  )

  ctx.handle(
    deleteL3Network,
    async ({ uuid }, call) => {
      await refuseWhileUsed(db, uuid)
      return call.run(deletion, { uuid })
    },
    { key },
  )

  ctx.handle(
    addDnsToL3Network,
    async ({ l3NetworkUuid, dns }) => {
      parseAddress(dns, 'dns')
      const row = { l3NetworkUuid, dns, createDate: Date.now(), lastOpDate: Date.now() }
      await db.write(async (tx) => {
        const there = await findOne(tx, l3NetworkDns, { l3NetworkUuid, dns })
        if (there !== undefined) throw invalid('dns', `${dns} is a name server of this L3 network already`)
        await insert(tx, l3NetworkDns, row)
      })
      await tellChanged(ctx, l3NetworkUuid)
      return view(l3NetworkUuid)
    },
    { key: dnsKey },
  )

  ctx.handle(
    removeDnsFromL3Network,
    async ({ l3NetworkUuid, dns }) => {
      const removed = await db.write((tx) => remove(tx, l3NetworkDns, { l3NetworkUuid, dns }))
      if (removed === 0) throw invalid('dns', `${dns} is not a name server of this L3 network`)
      await tellChanged(ctx, l3NetworkUuid)
      return view(l3NetworkUuid)
    },
    { key: dnsKey },
  )
}

/** The queue of everything that changes an L3 network. */
export const l3Key = (uuid: string) => `l3:${uuid}`

/**
 * Tells observers that guests have to be told something new. The change itself is durable and stays: a host that misses
 * it gets it with the next VM or when it is reconnected.
 */
export async function tellChanged(
  ctx: Pick<PluginContext, 'db' | 'hooks' | 'log'>,
  uuid: string,
): Promise<void> {
  const network = await get(ctx.db, l3Network, uuid)
  for (const hook of ctx.hooks(l3Hook)) {
    try {
      await hook.changed?.(network)
    } catch (error) {
      ctx.log.warn(
        { l3NetworkUuid: uuid, err: describeError(error) },
        'hosts could not be told of a changed network',
      )
    }
  }
}

type CreateInput = Parameters<typeof checkKind>[0] & {
  name: string
  description?: string | undefined
  l2NetworkUuid: string
  category: string
  system?: boolean | undefined
}

async function addNetwork(db: Database, uuid: string, input: CreateInput): Promise<void> {
  const { name, description, l2NetworkUuid, dnsDomain, category } = input
  const now = Date.now()
  await db.write(async (tx) => {
    const { zoneUuid } = await get(tx, l2Network, l2NetworkUuid)
    await insert(tx, l3Network, {
      uuid,
      name,
      description,
      type: input.type,
      zoneUuid,
      l2NetworkUuid,
      state: l3State.enabled,
      dnsDomain,
      system: input.system ?? category === 'System',
      category,
      ipVersion: 4,
      enableIPAM: true,
      isolated: false,
      createDate: now,
      lastOpDate: now,
    })
  })
}

function checkKind(input: {
  type: string
  ipVersion?: number | undefined
  enableIPAM: boolean
  dnsDomain?: string | undefined
}): void {
  const missing = (what: string) =>
    new CloudError(sysErrors.noCapability, `cannot create the L3 network: ${what}`)
  if (input.type !== 'L3BasicNetwork') {
    throw missing(`no plugin provides the type '${input.type}'; L3BasicNetwork is known`)
  }
  if (input.ipVersion !== undefined && input.ipVersion !== 4) {
    throw missing(`ipVersion ${input.ipVersion} is not supported; 4 is`)
  }
  if (!input.enableIPAM)
    throw missing('networks without address management (enableIPAM=false) are not supported')
  checkDomain(input.dnsDomain)
}

function checkDomain(domain: string | undefined): void {
  if (domain === undefined || domain === '' || DOMAIN.test(domain)) return
  throw invalid('dnsDomain', `'${domain}' is not a DNS domain: letters, digits, dots and dashes`)
}

async function refuseWhileUsed(db: Database, uuid: string): Promise<void> {
  const nics = await find(db, vmNic, { l3NetworkUuid: uuid })
  if (nics.length === 0) return
  const { name } = await get(db, l3Network, uuid)
  const vms = await vmsOf(
    db,
    nics.flatMap((nic) => nic.vmInstanceUuid ?? []),
  )
  const details = `L3 network '${name}'[uuid:${uuid}] has ${nics.length} VM NICs, of ${vms}; delete those VMs or detach the NICs first`
  throw new CloudError(sysErrors.deleteResource, details)
}

// Names are for people: more than these do not help anybody.
const NAMED_VMS = 5

/** Names a few VMs: `'web'[uuid:…], 'db'[uuid:…] and 3 more`. */
export async function vmsOf(db: Database, vmUuids: readonly string[]): Promise<string> {
  const uuids = [...new Set(vmUuids)]
  if (uuids.length === 0) return 'no VM any more'
  const named = await find(db, vmInstance, { uuid: oneOf(uuids.slice(0, NAMED_VMS)) }, { orderBy: ['name'] })
  const names = named.map((vm) => `'${vm.name}'[uuid:${vm.uuid}]`).join(', ')
  return uuids.length > NAMED_VMS ? `${names} and ${uuids.length - NAMED_VMS} more` : names
}

/** Uuids of the VMs whose NICs have an address of a range. */
export async function vmsUsingRange(db: Database, ipRangeUuid: string): Promise<string[]> {
  const nicUuids = (await find(db, usedIp, { ipRangeUuid })).flatMap((row) => row.vmNicUuid ?? [])
  const nics = nicUuids.length === 0 ? [] : await find(db, vmNic, { uuid: oneOf(nicUuids.slice(0, 500)) })
  return nics.flatMap((nic) => nic.vmInstanceUuid ?? [])
}
