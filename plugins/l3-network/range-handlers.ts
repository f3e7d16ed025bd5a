import { type Database, find, get, insert, isNull, not, notNull, oneOf, remove, type Tx, update } from '#db'
import { CloudError, newUuid, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { removeTags } from '#plugins/tag/contract/messages.ts'
import { createWithTags } from '#plugins/tag/contract/with-tags.ts'
import type { AddressFinder } from './address-store.ts'
import {
  addIpRange,
  addIpRangeByNetworkCidr,
  deleteIpRange,
  updateIpRange,
} from './contract/ip-range-apis.ts'
import { type IpRange, ipRange, l3Network, usedIp } from './contract/resources.ts'
import { formatAddress } from './ipv4.ts'
import { l3Key, tellChanged, vmsOf, vmsUsingRange } from './network-handlers.ts'
import { checkAgainst, cidrOf, type RangeSpec, rangeOfAddresses, rangesOfCidr } from './range-rules.ts'

/** Serves the APIs of IP ranges. */
export function handleRanges(ctx: PluginContext, finder: AddressFinder): void {
  const { db } = ctx
  const view = async (uuid: string) => ({ inventory: await ctx.query.view(ipRange, uuid) })
  const key = (input: { l3NetworkUuid: string }) => l3Key(input.l3NetworkUuid)

  ctx.handle(
    addIpRange,
    async (input) => {
      checkType(input.ipRangeType)
      const spec = rangeOfAddresses(input)
      const uuid = input.resourceUuid ?? newUuid()
      const tags = { type: 'IpRangeVO', uuid }
      await createWithTags(ctx, tags, input, () => addRanges(db, input, [{ uuid, spec }]))
      await tellChanged(ctx, input.l3NetworkUuid)
      return view(uuid)
    },
    { key },
  )

  ctx.handle(
    addIpRangeByNetworkCidr,
    async (input) => {
      checkType(input.ipRangeType)
      const specs = rangesOfCidr(input.networkCidr, input.gateway)
      const parts = specs.map((spec, i) => ({
        uuid: (i === 0 ? input.resourceUuid : undefined) ?? newUuid(),
        spec,
      }))
      const uuids = parts.map((part) => part.uuid)
      const first = uuids[0] ?? ''
      await createWithTags(ctx, { type: 'IpRangeVO', uuid: first }, input, () => addRanges(db, input, parts))
      await tellChanged(ctx, input.l3NetworkUuid)
      const inventories = await Promise.all(uuids.map((uuid) => ctx.query.view(ipRange, uuid)))
      return { inventory: inventories[0], inventories }
    },
    { key },
  )

  ctx.handle(updateIpRange, async ({ uuid, name, description }) => {
    const patch = {
      ...(name === undefined ? {} : { name }),
      ...(description === undefined ? {} : { description }),
    }
    await db.write((tx) => update(tx, ipRange, { uuid }, { ...patch, lastOpDate: Date.now() }))
    return view(uuid)
  })

  ctx.handle(deleteIpRange, async ({ uuid }) => {
    const { l3NetworkUuid } = await get(db, ipRange, uuid)
    const vms = await vmsUsingRange(db, uuid)
    const names = vms.length === 0 ? undefined : await vmsOf(db, vms)
    await db.write((tx) => removeRange(tx, uuid, names))
    finder.forget(uuid)
    await ctx.bus.call(removeTags, { resourceUuid: uuid })
    await tellChanged(ctx, l3NetworkUuid)
    return {}
  })
}

function checkType(type: string | undefined): void {
  if (type === undefined || type === 'Normal') return
  throw new CloudError(sysErrors.noCapability, `ranges of the type ${type} are not supported yet; Normal is`)
}

interface RangeInput {
  readonly l3NetworkUuid: string
  readonly name: string
  readonly description?: string | undefined
}

interface RangePart {
  readonly uuid: string
  readonly spec: RangeSpec
}

/** Checks and adds in one transaction, so that two ranges added at once cannot overlap. */
async function addRanges(db: Database, input: RangeInput, parts: readonly RangePart[]): Promise<void> {
  await db.write(async (tx) => {
    const { own, neighbours } = await rangesAround(tx, input.l3NetworkUuid)
    for (const { spec } of parts) checkAgainst(spec, own, neighbours)
    for (const part of parts) await insert(tx, ipRange, rowOf(input, part))
  })
}

async function rangesAround(tx: Tx, uuid: string): Promise<{ own: IpRange[]; neighbours: IpRange[] }> {
  const { l2NetworkUuid } = await get(tx, l3Network, uuid)
  const others = await find(tx, l3Network, { l2NetworkUuid, uuid: not(uuid) })
  const own = await find(tx, ipRange, { l3NetworkUuid: uuid }, { orderBy: ['createDate'] })
  const neighbours = await find(tx, ipRange, { l3NetworkUuid: oneOf(others.map((other) => other.uuid)) })
  return { own, neighbours }
}

function rowOf(input: RangeInput, { uuid, spec }: RangePart): IpRange {
  const now = Date.now()
  const { name, description } = input
  return {
    uuid,
    l3NetworkUuid: input.l3NetworkUuid,
    name,
    ...(description === undefined ? {} : { description }),
    startIp: formatAddress(spec.start),
    endIp: formatAddress(spec.end),
    netmask: spec.subnet.netmask,
    ...(spec.gateway === undefined ? {} : { gateway: spec.gateway }),
    networkCidr: cidrOf(spec.subnet),
    ipVersion: 4,
    prefixLen: spec.subnet.prefixLength,
    ipRangeType: 'Normal',
    createDate: now,
    lastOpDate: now,
    startLong: spec.start,
    endLong: spec.end,
  }
}

/** Removes a range and the addresses network services have in it; they take others when they need one. */
async function removeRange(tx: Tx, uuid: string, vms: string | undefined): Promise<void> {
  const range = await get(tx, ipRange, uuid)
  const taken = await find(tx, usedIp, { ipRangeUuid: uuid, vmNicUuid: notNull })
  if (taken.length > 0) {
    const what = `range '${range.name}'[uuid:${uuid}] (${range.startIp}-${range.endIp})`
    const holders = vms ?? `VM NIC[uuid:${taken[0]?.vmNicUuid}]`
    throw new CloudError(
      sysErrors.deleteResource,
      `${taken.length} addresses of ${what} are in use, by ${holders}; delete those VMs or detach the NICs first`,
    )
  }
  await remove(tx, usedIp, { ipRangeUuid: uuid, vmNicUuid: isNull })
  await remove(tx, ipRange, { uuid })
}
