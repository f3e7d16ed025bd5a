import { atLeast, find, oneOf } from '#db'
import { CloudError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { cluster } from '#plugins/cluster/contract/resources.ts'
import { zone } from '#plugins/zone/contract/resources.ts'
import { realMemory, release, reserve, reservedHost } from './allocation.ts'
import { hostErrors } from './contract/errors.ts'
import { hostConnector, hostFilter, type PlacementSpec } from './contract/extensions.ts'
import { allocateHost, findHosts, type Placement, releaseHost } from './contract/messages.ts'
import { type Host, host } from './contract/resources.ts'
import { hostState, hostStatus } from './contract/states.ts'

// How many hosts with most free memory are looked at first, and then, when none of those will do; almost every VM is placed
// among the first few, and what a creation costs does not grow with the number of hosts.
const WINDOWS = [8, 128]
const RETRIES = 5

export function servePlacement(ctx: PluginContext): void {
  ctx.serve(allocateHost, (spec) => allocate(ctx, spec))
  ctx.serve(releaseHost, (which) => ctx.db.write((tx) => release(tx, ctx.config, which)))
  ctx.serve(findHosts, async (spec) => {
    const { kept, rejections } = await judge(ctx, await find(ctx.db, host, scopeOf(spec)), spec)
    return { hosts: kept, rejections: Object.fromEntries(rejections) }
  })
}

async function allocate(ctx: PluginContext, spec: PlacementSpec): Promise<Placement> {
  const earlier = await reservedHost(ctx.db, spec.vmUuid, spec.avoidHostUuids ?? [])
  if (earlier !== undefined) return placementOf(earlier)
  for (let attempt = 0; attempt < RETRIES; attempt += 1) {
    const kept = await candidates(ctx, spec, attempt)
    if (kept.length === 0) break
    const chosen = await take(ctx, kept, spec)
    if (chosen !== undefined) return placementOf(chosen)
  }
  throw await explain(ctx, spec)
}

/** Hosts that pass every filter: first among those with most memory free, then among all. */
async function candidates(ctx: PluginContext, spec: PlacementSpec, attempt: number): Promise<Host[]> {
  const likely = {
    ...scopeOf(spec),
    state: hostState.enabled,
    status: hostStatus.connected,
    availableCpuCapacity: atLeast(spec.cpuNum),
    availableMemoryCapacity: atLeast(realMemory(ctx.config, spec.memorySize)),
  }
  for (const limit of WINDOWS.slice(attempt)) {
    const order = { orderBy: ['availableMemoryCapacity'], descending: true, limit } as const
    const rows = await find(ctx.db, host, likely, order)
    const { kept } = await judge(ctx, rows, spec)
    if (kept.length > 0) return kept
    if (rows.length < limit) break
  }
  return (await judge(ctx, await find(ctx.db, host, scopeOf(spec)), spec)).kept
}

async function take(
  ctx: PluginContext,
  kept: readonly Host[],
  spec: PlacementSpec,
): Promise<Host | undefined> {
  const sized = kept.map((h) => ({ uuid: h.uuid, reservedBytes: reservedBytes(ctx, h) }))
  const { preferredHostUuid } = spec
  const preferred = sized.filter((h) => h.uuid === preferredHostUuid)
  const demand = { vmUuid: spec.vmUuid, cpuNum: spec.cpuNum, memorySize: spec.memorySize }
  return ctx.db.write(async (tx) => {
    const first = preferred.length === 0 ? undefined : await reserve(tx, ctx.config, preferred, demand)
    return first ?? reserve(tx, ctx.config, sized, demand)
  })
}

function scopeOf(spec: PlacementSpec): { uuid?: string; clusterUuid?: string; zoneUuid?: string } {
  return {
    ...(spec.hostUuid === undefined ? {} : { uuid: spec.hostUuid }),
    ...(spec.clusterUuid === undefined ? {} : { clusterUuid: spec.clusterUuid }),
    ...(spec.zoneUuid === undefined ? {} : { zoneUuid: spec.zoneUuid }),
  }
}

/** Runs the chain of filters; every host that falls out does so once, with the reason of the first filter it failed. */
async function judge(
  ctx: PluginContext,
  all: readonly Host[],
  spec: PlacementSpec,
): Promise<{ kept: Host[]; rejections: Map<string, string> }> {
  const rejections = new Map<string, string>()
  let kept = [...all]
  const drop = (reasons: ReadonlyMap<string, string>) => {
    for (const [uuid, reason] of reasons) rejections.set(uuid, reason)
    kept = kept.filter((h) => !reasons.has(h.uuid))
  }
  drop(await disabledParents(ctx, kept))
  drop(ownReasons(ctx, kept, spec))
  for (const filter of ctx.hooks(hostFilter)) {
    if (kept.length === 0) break
    drop(new Map((await filter.filter(kept, spec)).map((r) => [r.hostUuid, r.reason])))
  }
  return { kept, rejections }
}

function ownReasons(ctx: PluginContext, hosts: readonly Host[], spec: PlacementSpec): Map<string, string> {
  const memory = realMemory(ctx.config, spec.memorySize)
  const reasons = new Map<string, string>()
  for (const h of hosts) {
    const free = h.availableMemoryCapacity - reservedBytes(ctx, h)
    if (spec.avoidHostUuids?.includes(h.uuid) === true) reasons.set(h.uuid, 'is excluded')
    else if (h.state !== hostState.enabled) reasons.set(h.uuid, `is in the state ${h.state}`)
    else if (h.status !== hostStatus.connected) reasons.set(h.uuid, `is ${h.status}`)
    else if (h.availableCpuCapacity < spec.cpuNum)
      reasons.set(h.uuid, `has ${h.availableCpuCapacity} virtual CPUs free`)
    else if (free < memory) reasons.set(h.uuid, `has ${gib(Math.max(0, free))} GiB of memory free`)
  }
  return reasons
}

async function disabledParents(ctx: PluginContext, hosts: readonly Host[]): Promise<Map<string, string>> {
  const disabled = { state: 'Disabled' }
  const clusters = new Map(
    (
      await find(ctx.db, cluster, { ...disabled, uuid: oneOf([...new Set(hosts.map((h) => h.clusterUuid))]) })
    ).map((c) => [c.uuid, c.name]),
  )
  const zones = new Map(
    (await find(ctx.db, zone, { ...disabled, uuid: oneOf([...new Set(hosts.map((h) => h.zoneUuid))]) })).map(
      (z) => [z.uuid, z.name],
    ),
  )
  const reasons = new Map<string, string>()
  for (const h of hosts) {
    if (clusters.has(h.clusterUuid))
      reasons.set(h.uuid, `is in the disabled cluster ${clusters.get(h.clusterUuid)}`)
    else if (zones.has(h.zoneUuid)) reasons.set(h.uuid, `is in the disabled zone ${zones.get(h.zoneUuid)}`)
  }
  return reasons
}

/** The error people read: what was asked for and, for each host, why it cannot take it. */
async function explain(ctx: PluginContext, spec: PlacementSpec): Promise<CloudError> {
  const hosts = await find(ctx.db, host, scopeOf(spec))
  const { rejections } = await judge(ctx, hosts, spec)
  const wanted = `${spec.cpuNum} virtual CPUs and ${gib(spec.memorySize)} GiB of memory`
  const shown = hosts
    .slice(0, 10)
    .map((h) => `${h.name} ${rejections.get(h.uuid) ?? 'was taken by others meanwhile'}`)
  const more = hosts.length > shown.length ? `, and ${hosts.length - shown.length} more` : ''
  const why = hosts.length === 0 ? 'there is no host where it may go' : `${shown.join('; ')}${more}`
  return new CloudError(hostErrors.noAvailableHost, `no host can take the VM with ${wanted}: ${why}`, {
    opaque: { rejections: Object.fromEntries(rejections) },
  })
}

function reservedBytes(ctx: PluginContext, h: Host): number {
  return ctx.drivers(hostConnector).get(h.hypervisorType)?.reservedMemoryBytes() ?? 0
}

function placementOf(h: Host): Placement {
  return {
    hostUuid: h.uuid,
    clusterUuid: h.clusterUuid,
    zoneUuid: h.zoneUuid,
    hypervisorType: h.hypervisorType,
  }
}

function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1).replace(/\.0$/, '')
}
