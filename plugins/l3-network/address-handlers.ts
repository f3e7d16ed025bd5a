import { atLeast, count, type Database, find, findOne, get, oneOf } from '#db'
import type { PluginContext } from '#plugin-host'
import { isFree } from './address-store.ts'
import { holderOf, vmRanges } from './allocate.ts'
import { checkIpAvailability, getFreeIp, getIpAddressCapacity } from './contract/address-apis.ts'
import { type IpRange, ipRange, l3Network, usedIp } from './contract/resources.ts'
import { formatAddress, invalid, parseAddress } from './ipv4.ts'

// Rows read at once while looking for free addresses between them.
const PAGE = 1_000

/** Serves the APIs that tell which addresses are free. */
export function handleAddresses(ctx: PluginContext): void {
  const { db } = ctx

  ctx.handle(getFreeIp, async ({ l3NetworkUuid, ipRangeUuid, start, limit }) => {
    if (l3NetworkUuid === undefined && ipRangeUuid === undefined) {
      throw invalid('l3NetworkUuid', 'or ipRangeUuid must be given, to tell where to look')
    }
    const ranges =
      ipRangeUuid === undefined
        ? await vmRanges(db, l3NetworkUuid ?? '')
        : [await get(db, ipRange, ipRangeUuid)]
    const from = start === undefined ? 0 : parseAddress(start, 'start')
    const inventories: FreeIp[] = []
    for (const range of ranges) {
      if (inventories.length < limit)
        inventories.push(...(await freeIn(db, range, from, limit - inventories.length)))
    }
    return { inventories }
  })

  ctx.handle(checkIpAvailability, async ({ l3NetworkUuid, ip, ipRangeCheck }) => {
    const value = parseAddress(ip, 'ip')
    const inRange = (await vmRanges(db, l3NetworkUuid)).some(
      (r) => r.startLong <= value && value <= r.endLong,
    )
    if (ipRangeCheck && !inRange) {
      return { available: false, reason: `${ip} is in none of the IP ranges of this L3 network` }
    }
    if (await isFree(db, l3NetworkUuid, value)) return { available: true }
    const holder = await findOne(db, usedIp, { l3NetworkUuid, ipInLong: value })
    return { available: false, reason: `${ip} is in use by ${holderOf(holder)}` }
  })

  ctx.handle(getIpAddressCapacity, async (input) => {
    const { resourceType, groups } = await groupsOf(db, input)
    const data = await Promise.all(groups.map((group) => capacityOf(db, group)))
    return { ...total(data), capacityData: data, resourceType }
  })
}

interface FreeIp {
  readonly ipRangeUuid: string
  readonly ip: string
  readonly netmask: string
  readonly gateway?: string
}

/** The lowest free addresses of a range at or after `from`, at most `limit`. */
async function freeIn(db: Database, range: IpRange, from: number, limit: number): Promise<FreeIp[]> {
  const found: FreeIp[] = []
  const { uuid, l3NetworkUuid, netmask, gateway } = range
  let next = Math.max(from, range.startLong)
  while (next <= range.endLong && found.length < limit) {
    const where = { l3NetworkUuid, ipInLong: atLeast(next) }
    const used = await find(db, usedIp, where, { orderBy: ['ipInLong'], limit: PAGE })
    // Behind the last row of a full page nothing is known yet.
    const known = used.length < PAGE ? range.endLong : Math.min(range.endLong, used.at(-1)?.ipInLong ?? 0)
    const taken = new Set(used.map((row) => row.ipInLong))
    for (; next <= known && found.length < limit; next += 1) {
      if (taken.has(next)) continue
      found.push({
        ipRangeUuid: uuid,
        ip: formatAddress(next),
        netmask,
        ...(gateway === undefined ? {} : { gateway }),
      })
    }
  }
  return found
}

interface Group {
  readonly resourceUuid: string
  readonly ranges: readonly IpRange[]
}

/** The ranges asked for, grouped by the kind of resource the question named. Everything when it named nothing. */
async function groupsOf(
  db: Database,
  input: {
    zoneUuids?: readonly string[] | undefined
    l3NetworkUuids?: readonly string[] | undefined
    ipRangeUuids?: readonly string[] | undefined
  },
): Promise<{ resourceType: string; groups: Group[] }> {
  const { zoneUuids, l3NetworkUuids, ipRangeUuids } = input
  if (ipRangeUuids !== undefined) {
    const ranges = await find(db, ipRange, { uuid: oneOf(ipRangeUuids) })
    return { resourceType: 'IpRangeVO', groups: ranges.map((r) => ({ resourceUuid: r.uuid, ranges: [r] })) }
  }
  if (zoneUuids !== undefined && l3NetworkUuids === undefined) {
    const networks = await find(db, l3Network, { zoneUuid: oneOf(zoneUuids) })
    const ranges = await rangesByNetwork(
      db,
      networks.map((n) => n.uuid),
    )
    const groups = zoneUuids.map((zone) => ({
      resourceUuid: zone,
      ranges: networks.filter((n) => n.zoneUuid === zone).flatMap((n) => ranges.get(n.uuid) ?? []),
    }))
    return { resourceType: 'ZoneVO', groups }
  }
  const uuids = l3NetworkUuids ?? (await find(db, l3Network, {})).map((network) => network.uuid)
  const ranges = await rangesByNetwork(db, uuids)
  const groups = uuids.map((uuid) => ({ resourceUuid: uuid, ranges: ranges.get(uuid) ?? [] }))
  return { resourceType: 'L3NetworkVO', groups }
}

async function rangesByNetwork(db: Database, uuids: readonly string[]): Promise<Map<string, IpRange[]>> {
  return Map.groupBy(await find(db, ipRange, { l3NetworkUuid: oneOf(uuids) }), (range) => range.l3NetworkUuid)
}

interface Capacity {
  readonly resourceUuid: string
  readonly totalCapacity: number
  readonly availableCapacity: number
  readonly usedIpAddressNumber: number
}

async function capacityOf(db: Database, { resourceUuid, ranges }: Group): Promise<Capacity> {
  const all = ranges.reduce((sum, range) => sum + range.endLong - range.startLong + 1, 0)
  const used = await count(db, usedIp, { ipRangeUuid: oneOf(ranges.map((range) => range.uuid)) })
  return { resourceUuid, ...numbers(all, used) }
}

function total(data: readonly Capacity[]): Omit<Capacity, 'resourceUuid'> {
  const sum = (pick: (capacity: Capacity) => number) =>
    data.reduce((all, capacity) => all + pick(capacity), 0)
  return numbers(
    sum((c) => c.totalCapacity),
    sum((c) => c.usedIpAddressNumber),
  )
}

function numbers(all: number, used: number) {
  return {
    totalCapacity: all,
    availableCapacity: all - used,
    usedIpAddressNumber: used,
    ipv4TotalCapacity: all,
    ipv4AvailableCapacity: all - used,
    ipv4UsedIpAddressNumber: used,
    ipv6TotalCapacity: 0,
    ipv6AvailableCapacity: 0,
    ipv6UsedIpAddressNumber: 0,
  }
}
