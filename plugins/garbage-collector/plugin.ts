import { count, remove } from '#db'
import { definePlugin } from '#plugin-host'
import { hostHook } from '#plugins/host/contract/extensions.ts'
import { metricSource } from '#plugins/monitoring/contract/extensions.ts'
import { collectGarbage, createCollector } from './collector.ts'
import { deleteGCJob, queryGCJob, triggerGCJob } from './contract/apis.ts'
import { collectInterval } from './contract/configs.ts'
import { submitGarbage } from './contract/messages.ts'
import { garbageCollector } from './contract/resources.ts'
import { garbageCollectorMigrations } from './migrations.ts'
import { submit } from './store.ts'

export const garbageCollectorPlugin = definePlugin({
  name: 'garbage-collector',
  needs: ['host'],
  resources: [garbageCollector],
  configs: [collectInterval],
  migrations: garbageCollectorMigrations,
  setup(ctx) {
    const collector = ctx.own(createCollector(ctx))
    const seconds = () => ctx.config.get(collectInterval)
    ctx.serve(submitGarbage, async (garbage) => {
      const job = await ctx.db.write((tx) => submit(tx, garbage, seconds() * 1000))
      ctx.log.warn({ gcJobUuid: job.uuid, name: garbage.name }, 'a left-over is removed later')
      return job
    })
    ctx.hook(hostHook, { connected: async (row) => collector.hostIsBack(row) })
    ctx.every('collect garbage', seconds, () => collector.collectDue())
    ctx.hook(metricSource, {
      name: 'left-overs',
      tell: async (sink) => {
        const number = await count(ctx.db, garbageCollector, {})
        sink.gauge('gc_jobs', 'Left-overs on machines that are away, still to be removed.', number)
      },
    })
    ctx.queries(queryGCJob)
    // No key of its own: the message runs in the job's queue.
    ctx.handle(triggerGCJob, async ({ uuid }) => {
      await ctx.bus.call(collectGarbage, { uuid })
      return {}
    })
    ctx.handle(
      deleteGCJob,
      async ({ uuid }) => {
        await ctx.db.write((tx) => remove(tx, garbageCollector, { uuid }))
        return {}
      },
      { key: ({ uuid }) => `garbage:${uuid}` },
    )
  },
})
