import type { AgentEvent } from '#agent-rpc'
import { hostPing } from '#agents/kvm-host/contract/host.ts'
import { get, update } from '#db'
import { currentTask, describeError } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { recount } from './allocation.ts'
import { pingInterval } from './contract/configs.ts'
import { type HostFacts, hostConnector, hostHook } from './contract/extensions.ts'
import { type Host, host } from './contract/resources.ts'
import { hostStatus } from './contract/states.ts'
import { createRounds, isOurs, runOf } from './rounds.ts'

/** Keeps track of which hosts can be reached, and brings them back. What it knows beyond the database is only who listens. */
export interface HostConnections {
  /** Connects, records facts, lets plugins prepare the host, marks it Connected. Throws with the reason. */
  connect(hostUuid: string): Promise<void>
  /** Stops listening to a host. */
  unfollow(hostUuid: string): void
  /** Runs what takes a host away when no connection to it is under way, and lets none begin meanwhile. */
  leave(hostUuid: string, work: () => Promise<void>): Promise<void>
  /** Marks a host Disconnected and tells those who keep something there. */
  markDown(row: Host): Promise<void>
  /** Begins to look after every host once: pings, and reconnects those that answer again. One that takes long keeps no other waiting. */
  lookAfterAll(): Promise<void>
  /** Lets go of hosts that belong to other nodes now. */
  letGo(): void
  dispose(): Promise<void>
}

export function createHostConnections(ctx: PluginContext): HostConnections {
  const followed = new Map<string, () => void>()
  // Which run of which boot of the machine was prepared: in another one nothing volatile of it is left.
  const prepared = new Map<string, string>()
  // Hosts whose news has not stopped since they were listened to last.
  const heard = new Set<string>()
  const unfollow = (uuid: string) => {
    followed.get(uuid)?.()
    followed.delete(uuid)
    prepared.delete(uuid)
  }
  const connectOnce = async (hostUuid: string) => {
    const run = await prepareHost(ctx, hostUuid, follow)
    // What was lost while it was prepared is found by preparing it again.
    if (heard.has(hostUuid)) prepared.set(hostUuid, run)
    await markStatus(ctx, hostUuid, hostStatus.connected)
    retryStuck(ctx, hostUuid)
  }
  // A ping may find a host back while an operator reconnects or removes it.
  const connect = (hostUuid: string) =>
    ctx.bus.enter(`connect:${hostUuid}`, 'connect host', () => connectOnce(hostUuid))
  const leave = (hostUuid: string, work: () => Promise<void>) =>
    ctx.bus.enter(`connect:${hostUuid}`, 'remove host', () => {
      unfollow(hostUuid)
      return work()
    })
  const markDown = (row: Host) => tellDown(ctx, row)
  const isPrepared = (uuid: string, run: string) => prepared.get(uuid) === run
  const rounds = createRounds(ctx, { connect, markDown, isPrepared })
  const follow = async (row: Host) => {
    unfollow(row.uuid)
    const onDown = (reason: string) => {
      ctx.log.warn({ hostUuid: row.uuid, reason }, 'the event stream of a host broke')
      heard.delete(row.uuid)
      prepared.delete(row.uuid)
      rounds.lookAfter(row.uuid)
    }
    heard.add(row.uuid)
    const stop = await ctx
      .driver(hostConnector, row.hypervisorType)
      .follow(row.uuid, (e) => deliver(ctx, row, e), onDown)
    followed.set(row.uuid, stop)
  }
  return {
    connect,
    unfollow,
    leave,
    markDown,
    lookAfterAll: rounds.lookAfterAll,
    letGo: () => {
      for (const uuid of [...followed.keys()]) if (!isOurs(ctx, { uuid })) unfollow(uuid)
    },
    dispose: async () => {
      await rounds.dispose()
      for (const uuid of [...followed.keys()]) unfollow(uuid)
    },
  }
}

/** Brings the agent up to date, records facts, lets plugins prepare the host; returns which run of the host was prepared. */
async function prepareHost(
  ctx: PluginContext,
  hostUuid: string,
  follow: (row: Host) => Promise<void>,
): Promise<string> {
  const row = await get(ctx.db, host, hostUuid)
  const connector = ctx.driver(hostConnector, row.hypervisorType)
  const facts = await connector.connect(row, (message) => currentTask()?.progress(undefined, message))
  await recordFacts(ctx, hostUuid, facts)
  const run = runOf(await (await connector.client(hostUuid)).call(hostPing, {}))
  const connected = await get(ctx.db, host, hostUuid)
  // Listening before looking: what happens in between would be heard of by neither.
  await follow(connected)
  for (const hook of ctx.hooks(hostHook)) await hook.connected?.(connected)
  return run
}

/** After a start, and when hosts come from or go to other nodes, all are looked after at once; until it is proven otherwise they keep their status. */
export function startConnections(ctx: PluginContext, connections: HostConnections): Promise<void> {
  const look = () => {
    connections.letGo()
    return connections.lookAfterAll()
  }
  ctx.cluster.onChange('looking after hosts', look)
  return look()
}

export const connectionInterval = (ctx: PluginContext) => () => ctx.config.get(pingInterval)

async function markStatus(ctx: PluginContext, uuid: string, status: string): Promise<void> {
  const changed = await ctx.db.write((tx) => update(tx, host, { uuid }, { status, lastOpDate: Date.now() }))
  if (changed > 0) ctx.log.info({ hostUuid: uuid, status }, 'host status')
}

async function tellDown(ctx: PluginContext, row: Host): Promise<void> {
  await markStatus(ctx, row.uuid, hostStatus.disconnected)
  for (const hook of ctx.hooks(hostHook)) await hook.disconnected?.(row)
}

/** What could not be taken back while the host was away can be now. Whoever connects need not wait for it. */
function retryStuck(ctx: PluginContext, hostUuid: string): void {
  ctx.workflows.retryStuck().catch((error) => {
    ctx.log.error({ hostUuid, err: describeError(error) }, 'what failed work left could not be taken back')
  })
}

async function recordFacts(ctx: PluginContext, uuid: string, facts: HostFacts): Promise<void> {
  await ctx.db.write(async (tx) => {
    await update(
      tx,
      host,
      { uuid },
      {
        cpuNum: facts.cpuNum,
        cpuSockets: facts.cpuSockets,
        architecture: facts.architecture,
        totalMemoryCapacity: facts.totalMemoryBytes,
      },
    )
    await recount(tx, ctx.config, uuid)
  })
}

function deliver(ctx: PluginContext, row: Host, event: AgentEvent): void {
  for (const hook of ctx.hooks(hostHook)) {
    hook.event?.(row, event).catch((error) => {
      ctx.log.error(
        { hostUuid: row.uuid, event: event.name, err: describeError(error) },
        'an event of a host could not be handled',
      )
    })
  }
}
