import {
  type Database,
  find,
  findOne,
  get,
  insert,
  oneOf,
  remove,
  type Session,
  type Tx,
  UniqueConflict,
} from '#db'
import { CloudError, newOrderedUuid } from '#kernel'
import { type AddressFinder, isFree } from './address-store.ts'
import { l3Errors } from './contract/errors.ts'
import {
  type IpRange,
  ipRange,
  type L3Network,
  l3Network,
  type UsedIp,
  usedIp,
} from './contract/resources.ts'
import { l3State } from './contract/states.ts'
import { formatAddress, parseAddress } from './ipv4.ts'

/** Who takes an address: a NIC, or a network service under its name. */
export type Taker = { readonly vmNicUuid: string } | { readonly usedFor: string }

// Only a database that runs units of several nodes at the same time can conflict here; each conflict means that another
// address was taken meanwhile, so the limit is reached only by a bug.
const MAX_CONFLICTS = 1_000

/** Takes a free address, or `ip`, for `taker`; a repeat returns the address taken before. Throws L3.1000 with the reason. */
export async function takeAddress(
  db: Database,
  finder: AddressFinder,
  request: { l3NetworkUuid: string; taker: Taker; ip?: string | undefined },
): Promise<UsedIp> {
  // Services ask at every start of a VM: what they have is read, and only what they lack costs a commit.
  const earlier = 'usedFor' in request.taker && (await takenBefore(db, request.l3NetworkUuid, request.taker))
  if (earlier) return earlier
  for (let conflicts = 0; ; conflicts += 1) {
    try {
      return await db.write((tx) => takeIn(tx, finder, request))
    } catch (error) {
      if (!(error instanceof UniqueConflict) || conflicts >= MAX_CONFLICTS) throw error
    }
  }
}

async function takeIn(
  tx: Tx,
  finder: AddressFinder,
  request: { l3NetworkUuid: string; taker: Taker; ip?: string | undefined },
): Promise<UsedIp> {
  const { l3NetworkUuid, taker, ip } = request
  const earlier = await takenBefore(tx, l3NetworkUuid, taker)
  if (earlier !== undefined) return earlier
  const network = await get(tx, l3Network, l3NetworkUuid)
  if (network.state !== l3State.enabled && 'vmNicUuid' in taker) {
    throw refuse(network, 'it is Disabled; enable it with ChangeL3NetworkState')
  }
  const ranges = await vmRanges(tx, l3NetworkUuid)
  const { range, ip: address } =
    ip === undefined
      ? await anyAddress(tx, finder, network, ranges)
      : await thisAddress(tx, network, ranges, ip)
  const now = Date.now()
  const row: UsedIp = {
    uuid: newOrderedUuid(),
    ipRangeUuid: range.uuid,
    l3NetworkUuid,
    ipVersion: 4,
    ip: formatAddress(address),
    netmask: range.netmask,
    ...(range.gateway === undefined ? {} : { gateway: range.gateway }),
    ipInLong: address,
    ...taker,
    createDate: now,
    lastOpDate: now,
  }
  await insert(tx, usedIp, row)
  return row
}

/** Looked up by what tells most: by its network first, a NIC would be searched among all NICs of that network. */
async function takenBefore(db: Session, l3NetworkUuid: string, taker: Taker): Promise<UsedIp | undefined> {
  if ('usedFor' in taker) return findOne(db, usedIp, { l3NetworkUuid, ...taker })
  return (await find(db, usedIp, taker)).find((row) => row.l3NetworkUuid === l3NetworkUuid)
}

async function anyAddress(
  tx: Tx,
  finder: AddressFinder,
  network: L3Network,
  ranges: readonly IpRange[],
): Promise<{ range: IpRange; ip: number }> {
  if (ranges.length === 0) {
    throw refuse(network, 'it has no IP range; add one with AddIpRange or AddIpRangeByNetworkCidr')
  }
  const found = await finder.find(tx, ranges)
  if (found !== undefined) return found
  const total = ranges.reduce((sum, range) => sum + range.endLong - range.startLong + 1, 0)
  const spans = ranges.map((range) => `${range.startIp}-${range.endIp}`).join(', ')
  throw refuse(
    network,
    `all ${total} addresses of its ranges (${spans}) are in use; delete VMs or NICs, or add a range with AddIpRange`,
  )
}

async function thisAddress(
  tx: Tx,
  network: L3Network,
  ranges: readonly IpRange[],
  text: string,
): Promise<{ range: IpRange; ip: number }> {
  const ip = parseAddress(text, 'ip')
  const range = ranges.find((r) => r.startLong <= ip && ip <= r.endLong)
  if (range === undefined) {
    const spans = ranges.map((r) => `${r.startIp}-${r.endIp}`).join(', ') || 'it has none'
    throw refuse(network, `${text} is in none of its IP ranges (${spans})`)
  }
  if (await isFree(tx, network.uuid, ip)) return { range, ip }
  const holder = await findOne(tx, usedIp, { l3NetworkUuid: network.uuid, ipInLong: ip })
  throw refuse(network, `${text} is in use by ${holderOf(holder)}; choose another, GetFreeIp lists free ones`)
}

/** Gives back every address of a NIC. */
export async function giveBack(db: Database, finder: AddressFinder, vmNicUuid: string): Promise<void> {
  const gone = await db.write(async (tx) => {
    const rows = await find(tx, usedIp, { vmNicUuid })
    if (rows.length > 0) await remove(tx, usedIp, { uuid: oneOf(rows.map((row) => row.uuid)) })
    return rows
  })
  for (const row of gone) finder.released(row.ipRangeUuid, row.ipInLong)
}

/** Who has an address, for people. */
export function holderOf(row: UsedIp | undefined): string {
  if (row === undefined) return 'nobody any more'
  if (row.vmNicUuid !== undefined) return `VM NIC[uuid:${row.vmNicUuid}]`
  return `the network service ${row.usedFor ?? 'unknown'}`
}

/** Ranges VMs get addresses from, in the order in which they are used up. */
export function vmRanges(db: Session, l3NetworkUuid: string): Promise<IpRange[]> {
  return find(db, ipRange, { l3NetworkUuid }, { orderBy: ['createDate', 'startLong'] })
}

function refuse(network: L3Network, reason: string): CloudError {
  const what = `cannot take an address of L3 network '${network.name}'[uuid:${network.uuid}]`
  return new CloudError(l3Errors.allocateIp, `${what}: ${reason}`)
}
