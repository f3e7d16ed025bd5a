import { defineResource, int, long, text } from '#contract'
import { atLeast, type Database, find, findOne, get, insert, oneOf, plus, remove, type Tx, update } from '#db'
import type { Config } from '#plugin-host'
import { cpuOverProvisioning, memoryOverProvisioning } from './contract/configs.ts'
import { type Host, host } from './contract/resources.ts'
import { hostState, hostStatus } from './contract/states.ts'

/** What a VM has reserved on a host: the reason why a repeat is harmless and an undo needs only the VM's uuid. */
export const hostAllocation = defineResource({
  name: 'HostAllocation',
  className: 'org.zstack.header.host.HostAllocationInventory',
  primaryKey: 'vmUuid',
  fields: {
    vmUuid: text('The VM.'),
    hostUuid: text('The host.'),
    cpuNum: int('Virtual CPUs.'),
    memorySize: long('Bytes, before over-provisioning.'),
  },
})

export interface Demand {
  readonly vmUuid: string
  readonly cpuNum: number
  readonly memorySize: number
}

/** Bytes of real memory that `memorySize` bytes of VM memory count as. */
export function realMemory(config: Config, memorySize: number): number {
  return Math.ceil(memorySize / Number(config.get(memoryOverProvisioning)))
}

/**
 * Reserves on the one of `hosts` that has most memory free at this instant; undefined when none has enough any more.
 * Reading and taking happen in one transaction, so that callers at the same time spread over the hosts.
 */
export async function reserve(
  tx: Tx,
  config: Config,
  hosts: readonly { readonly uuid: string; readonly reservedBytes: number }[],
  demand: Demand,
): Promise<Host | undefined> {
  const memory = realMemory(config, demand.memorySize)
  let chosen: Host | undefined
  // Hosts of one kind keep the same for themselves, so the best of each kind is one row.
  for (const [kept, alike] of Map.groupBy(hosts, (h) => h.reservedBytes)) {
    const where = {
      uuid: oneOf(alike.map((h) => h.uuid)),
      availableCpuCapacity: atLeast(demand.cpuNum),
      availableMemoryCapacity: atLeast(memory + kept),
      // The host may have been disabled or lost since it was looked at.
      state: hostState.enabled,
      status: hostStatus.connected,
    }
    const order = { orderBy: ['availableMemoryCapacity'], descending: true, limit: 1 } as const
    const [best] = await find(tx, host, where, order)
    if (best !== undefined && best.availableMemoryCapacity > (chosen?.availableMemoryCapacity ?? -1))
      chosen = best
  }
  if (chosen === undefined) return undefined
  await insert(tx, hostAllocation, { ...demand, hostUuid: chosen.uuid })
  await update(
    tx,
    host,
    { uuid: chosen.uuid },
    {
      availableCpuCapacity: plus(-demand.cpuNum),
      availableMemoryCapacity: plus(-memory),
    },
  )
  return chosen
}

/**
 * Puts the host into a state in which it takes no VMs, unless one has reserved on it: then that VM's uuid is returned and nothing
 * is changed. Looking and closing happen in one transaction, so that no VM slips in between.
 */
export async function close(tx: Tx, hostUuid: string, state: string): Promise<string | undefined> {
  const [taker] = await find(tx, hostAllocation, { hostUuid }, { limit: 1 })
  if (taker === undefined) await update(tx, host, { uuid: hostUuid }, { state, lastOpDate: Date.now() })
  return taker?.vmUuid
}

/** The host a VM has reserved on already, leaving out `except`. */
export async function reservedHost(
  db: Database,
  vmUuid: string,
  except: readonly string[],
): Promise<Host | undefined> {
  const rows = await find(db, hostAllocation, { vmUuid })
  const row = rows.find((r) => !except.includes(r.hostUuid))
  return row === undefined ? undefined : get(db, host, row.hostUuid)
}

/** Gives back what the VM has reserved on one host, or on all but some. */
export async function release(
  tx: Tx,
  config: Config,
  which: { vmUuid: string; hostUuid?: string | undefined; exceptHostUuids?: readonly string[] | undefined },
): Promise<void> {
  const { vmUuid, hostUuid, exceptHostUuids = [] } = which
  const where = hostUuid === undefined ? { vmUuid } : { vmUuid, hostUuid }
  for (const row of await find(tx, hostAllocation, where)) {
    if (exceptHostUuids.includes(row.hostUuid)) continue
    await remove(tx, hostAllocation, { vmUuid, hostUuid: row.hostUuid })
    await update(
      tx,
      host,
      { uuid: row.hostUuid },
      {
        availableCpuCapacity: plus(row.cpuNum),
        availableMemoryCapacity: plus(realMemory(config, row.memorySize)),
      },
    )
  }
}

/** Computes the free capacity of a host anew from what is reserved: after its totals or a ratio changed. */
export async function recount(tx: Tx, config: Config, hostUuid: string): Promise<void> {
  const row = await findOne(tx, host, { uuid: hostUuid })
  if (row === undefined) return
  const totalCpuCapacity = row.cpuNum * config.get(cpuOverProvisioning)
  let cpu = 0
  let memory = 0
  for (const taken of await find(tx, hostAllocation, { hostUuid })) {
    cpu += taken.cpuNum
    memory += realMemory(config, taken.memorySize)
  }
  await update(
    tx,
    host,
    { uuid: hostUuid },
    {
      totalCpuCapacity,
      availableCpuCapacity: totalCpuCapacity - cpu,
      availableMemoryCapacity: row.totalMemoryCapacity - memory,
    },
  )
}
