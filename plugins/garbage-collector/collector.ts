import { defineMessage } from '#contract'
import { find, findOne, oneOf } from '#db'
import { CloudError, type Disposable, describeError, sysErrors } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { type Host, host } from '#plugins/host/contract/resources.ts'
import { hostStatus } from '#plugins/host/contract/states.ts'
import { collectInterval } from './contract/configs.ts'
import { garbageType } from './contract/extensions.ts'
import { type GarbageCollector, garbageCollector } from './contract/resources.ts'
import { beginTry, dueJobs, finish, jobsOfHost, postpone } from './store.ts'

/** Tries one job now, on the node that owns it. Throws with the reason when it has to stay. One that is gone is fine. */
export const collectGarbage = defineMessage<{ uuid: string }, void>(
  'garbage.collect',
  ({ uuid }) => `garbage:${uuid}`,
  { idempotent: true },
)

export interface Collector extends Disposable {
  /** Tries every job whose time has come, except those of hosts that are known to be away. */
  collectDue(): Promise<void>
  /** Tries what waited for a host, one after the other; nobody waits for it. */
  hostIsBack(row: Host): void
}

export function createCollector(ctx: PluginContext): Collector {
  const running = new Set<Promise<void>>()
  let closing = false
  const tryAll = async (jobs: readonly GarbageCollector[]) => {
    for (const { uuid } of jobs) {
      if (closing) return
      // Its reason is in the job and in the log.
      await ctx.bus.call(collectGarbage, { uuid }).catch(() => undefined)
    }
  }
  ctx.serve(collectGarbage, ({ uuid }) => collect(ctx, uuid))
  return {
    collectDue: async () => tryAll(await withoutAway(ctx, await dueJobs(ctx.db))),
    hostIsBack: (row) => {
      const work = jobsOfHost(ctx.db, row)
        .then(tryAll)
        .catch((error: unknown) => {
          ctx.log.error(
            { hostUuid: row.uuid, err: describeError(error) },
            'left-overs could not be looked for',
          )
        })
        .finally(() => running.delete(work))
      running.add(work)
    },
    dispose: async () => {
      closing = true
      await Promise.all(running)
    },
  }
}

/** A host that is known to be away is not dialled for this: its return is the event. */
async function withoutAway(
  ctx: PluginContext,
  jobs: readonly GarbageCollector[],
): Promise<GarbageCollector[]> {
  const uuids = [...new Set(jobs.flatMap((job) => job.hostUuid ?? []))]
  const hosts = uuids.length === 0 ? [] : await find(ctx.db, host, { uuid: oneOf(uuids) })
  const away = new Set(hosts.filter((row) => row.status !== hostStatus.connected).map((row) => row.uuid))
  return jobs.filter((job) => job.hostUuid === undefined || !away.has(job.hostUuid))
}

async function collect(ctx: PluginContext, uuid: string): Promise<void> {
  const job = await findOne(ctx.db, garbageCollector, { uuid })
  if (job === undefined) return
  const { name, runnerClass, context, sealed } = job
  const fields = { gcJobUuid: uuid, name, runnerClass }
  await ctx.db.write((tx) => beginTry(tx, uuid, ctx.node.uuid))
  try {
    const collector = ctx.drivers(garbageType).get(runnerClass)
    if (collector === undefined) {
      throw new CloudError(sysErrors.noRoute, `no plugin removes what is of the kind ${runnerClass}`)
    }
    await collector.collect(JSON.parse(context) as Record<string, unknown>, sealed)
  } catch (error) {
    const reason = describeError(error)
    const intervalMs = ctx.config.get(collectInterval) * 1000
    await ctx.db.write((tx) => postpone(tx, job, reason, intervalMs))
    ctx.log.warn(
      { ...fields, tries: job.tries + 1, err: reason },
      'a left-over could not be removed; it is tried again',
    )
    throw new CloudError(sysErrors.operationFailed, `${name} is still there; it is tried again`, {
      cause: error,
    })
  }
  await ctx.db.write((tx) => finish(tx, job))
  ctx.log.info(fields, 'a left-over was removed')
}
