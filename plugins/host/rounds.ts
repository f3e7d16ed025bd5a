import { hostPing } from '#agents/kvm-host/contract/host.ts'
import { find, findOne } from '#db'
import { describeError, Limiter } from '#kernel'
import type { PluginContext } from '#plugin-host'
import type { HostConnections } from './connection.ts'
import { autoReconnect, pingMisses, pingParallelism } from './contract/configs.ts'
import { hostConnector } from './contract/extensions.ts'
import { type Host, host } from './contract/resources.ts'
import { hostStatus } from './contract/states.ts'

/** Pings hosts, marks those Disconnected that stay silent, and reconnects those that answer again. */
export interface Rounds {
  /** Begins to look after every host once. One that takes long keeps no other waiting. */
  lookAfterAll(): Promise<void>
  /** Looks after one host soon, from now on and not from earlier. */
  lookAfter(hostUuid: string): void
  dispose(): Promise<void>
}

interface RoundsDeps extends Pick<HostConnections, 'connect' | 'markDown'> {
  isPrepared(hostUuid: string, run: string): boolean
}

export function createRounds(ctx: PluginContext, deps: RoundsDeps): Rounds {
  const limiter = new Limiter(() => ctx.config.get(pingParallelism))
  const misses = new Map<string, number>()
  const underWay = new Map<string, Promise<void>>()

  const connectQuietly = async (row: Host) => {
    try {
      await deps.connect(row.uuid)
    } catch (error) {
      if (await isGone(ctx, row)) return
      ctx.log.warn({ hostUuid: row.uuid, err: describeError(error) }, 'a host could not be reconnected')
      if (row.status === hostStatus.connected) await deps.markDown(row)
    }
  }
  const missed = async (row: Host, error: unknown) => {
    if (await isGone(ctx, row)) return void misses.delete(row.uuid)
    const count = (misses.get(row.uuid) ?? 0) + 1
    misses.set(row.uuid, count)
    ctx.log.debug({ hostUuid: row.uuid, count, err: describeError(error) }, 'host did not answer a ping')
    if (count >= ctx.config.get(pingMisses) && row.status === hostStatus.connected) await deps.markDown(row)
  }
  const look = async (row: Host) => {
    let run: string
    try {
      const client = await ctx.driver(hostConnector, row.hypervisorType).client(row.uuid)
      run = runOf(await client.call(hostPing, {}))
    } catch (error) {
      return missed(row, error)
    }
    misses.delete(row.uuid)
    const away = row.status !== hostStatus.connected || !deps.isPrepared(row.uuid, run)
    if (away && ctx.config.get(autoReconnect)) await connectQuietly(row)
  }
  const begin = (uuid: string, row: () => Promise<Host | undefined>) => {
    if (underWay.has(uuid)) return
    const work = limiter
      .run(async () => {
        const found = await row()
        if (found !== undefined) await look(found)
      })
      .catch((error) =>
        ctx.log.error({ hostUuid: uuid, err: describeError(error) }, 'a host could not be looked after'),
      )
      .finally(() => underWay.delete(uuid))
    underWay.set(uuid, work)
  }
  return {
    lookAfterAll: async () => {
      for (const row of await find(ctx.db, host, {}))
        if (row.status !== hostStatus.connecting && isOurs(ctx, row)) begin(row.uuid, async () => row)
    },
    lookAfter: (uuid) => {
      // What is under way may have looked before that happened for which it is asked again.
      void (underWay.get(uuid) ?? Promise.resolve()).then(() =>
        begin(uuid, () => findOne(ctx.db, host, { uuid })),
      )
    },
    dispose: async () => {
      await Promise.all(underWay.values())
    },
  }
}

/** Names one run of the agent in one boot of its machine. */
export function runOf(ping: { bootId: string; agentStartedAt: number }): string {
  return `${ping.bootId} ${ping.agentStartedAt}`
}

/** Each host is looked after by the node that owns it. */
export function isOurs(ctx: PluginContext, { uuid }: Pick<Host, 'uuid'>): boolean {
  return ctx.cluster.owns(`host:${uuid}`)
}

async function isGone(ctx: PluginContext, { uuid }: Host): Promise<boolean> {
  return (await findOne(ctx.db, host, { uuid })) === undefined
}
