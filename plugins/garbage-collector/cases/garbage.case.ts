import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { update } from '#db'
import { CloudError, newUuid, sysErrors, waitFor } from '#kernel'
import { definePlugin, type Plugin } from '#plugin-host'
import { allPlugins } from '#server/plugins.ts'
import { createTestCloud, type TestCloud } from '#testkit'
import { deleteGCJob, queryGCJob, triggerGCJob } from '../contract/apis.ts'
import { garbageType } from '../contract/extensions.ts'
import { type Garbage, submitGarbage } from '../contract/messages.ts'
import { garbageCollector } from '../contract/resources.ts'

interface Setup {
  readonly cloud: TestCloud
  readonly tried: unknown[]
  /** Why a try fails; it succeeds when undefined. */
  reason: string | undefined
  /** Runs in the middle of a try. */
  meanwhile: () => Promise<unknown>
  submit(garbage?: Partial<Garbage>): Promise<string>
  jobs(): Promise<Record<string, unknown>[]>
  /** Makes the time of all jobs come. */
  ripen(): Promise<unknown>
}

/** A cloud with one kind of garbage that is removed as the test wants. */
async function arrange(t: TestContext, intervalSeconds = 3600): Promise<Setup> {
  const tried: unknown[] = []
  const setup = { tried, reason: undefined as string | undefined, meanwhile: async (): Promise<unknown> => 0 }
  const kind = definePlugin({
    name: 'test-garbage',
    needs: ['garbage-collector'],
    setup: (ctx) => {
      ctx.onLoad(() => ctx.config.set('garbageCollector', 'interval', intervalSeconds))
      ctx.provide(garbageType, 'test.thing', {
        collect: async (context, sealed) => {
          tried.push({ ...context, sealed })
          await setup.meanwhile()
          if (setup.reason !== undefined) throw new CloudError(sysErrors.ioError, setup.reason)
        },
      })
    },
  })
  const plugins = (simulator: Plugin) => [...allPlugins(simulator), kind]
  const cloud = await createTestCloud({ plugins })
  t.after(() => cloud.dispose())
  const garbage = { name: 'a thing', type: 'test.thing', subject: 'thing', context: { n: 1 } }
  return Object.assign(setup, {
    cloud,
    submit: async (more: Partial<Garbage> = {}) =>
      (await cloud.cloud.context.bus.call(submitGarbage, { ...garbage, ...more })).uuid,
    jobs: () => cloud.query(queryGCJob),
    ripen: () => cloud.cloud.context.db.write((tx) => update(tx, garbageCollector, {}, { nextTryDate: 0 })),
  })
}

test('a job is shown without its secret, tried on demand, and gone when it has succeeded', async (t) => {
  const setup = await arrange(t)
  const uuid = await setup.submit({ sealed: 'v1.secret', address: '10.0.0.9' })
  const [job] = await setup.jobs()
  const { name, runnerClass, context, status, type, tries } = job ?? {}
  assert.deepEqual(
    { name, runnerClass, context, status, type, tries },
    {
      name: 'a thing',
      runnerClass: 'test.thing',
      context: '{"n":1}',
      status: 'Idle',
      type: 'CycleBased',
      tries: 0,
    },
  )
  assert.ok(!JSON.stringify(job).includes('secret'))
  setup.reason = 'no route to host'
  await assert.rejects(setup.cloud.call(triggerGCJob, { uuid }), {
    code: 'SYS.1006',
    details: 'a thing is still there; it is tried again',
  })
  const [failed] = await setup.jobs()
  assert.deepEqual([failed?.status, failed?.lastError, failed?.tries], ['Idle', 'no route to host', 1])
  setup.reason = undefined
  await setup.cloud.call(triggerGCJob, { uuid })
  assert.deepEqual(await setup.jobs(), [])
  assert.deepEqual(setup.tried, Array(2).fill({ n: 1, sealed: 'v1.secret' }))
})

test('what is submitted twice is one job; submitted during a try it is tried once more', async (t) => {
  const setup = await arrange(t)
  const first = await setup.submit()
  const again = await setup.submit({ context: { n: 2 } })
  const other = await setup.submit({ subject: 'other' })
  assert.equal(again, first)
  assert.deepEqual(
    (await setup.jobs()).map((job) => [job.uuid, job.context]).sort(),
    [
      [first, '{"n":2}'],
      [other, '{"n":1}'],
    ].sort(),
  )
  setup.meanwhile = () => setup.submit({ context: { n: 3 } })
  await setup.cloud.call(triggerGCJob, { uuid: first })
  const left = (await setup.jobs()).find((job) => job.uuid === first)
  assert.deepEqual([left?.context, left?.status], ['{"n":3}', 'Idle'])
  setup.meanwhile = async () => 0
  await setup.cloud.call(triggerGCJob, { uuid: first })
  assert.deepEqual(
    (await setup.jobs()).map((job) => job.uuid),
    [other],
  )
})

test('a job that fails is tried less and less often, and never given up', async (t) => {
  const setup = await arrange(t, 60)
  const uuid = await setup.submit()
  setup.reason = 'away'
  const waits: number[] = []
  for (let i = 0; i < 10; i += 1) {
    const before = Date.now()
    await assert.rejects(setup.cloud.call(triggerGCJob, { uuid }))
    const [job] = await setup.cloud.cloud.context.db.all('SELECT nextTryDate FROM GarbageCollectorVO', [])
    waits.push(Math.floor((Number(job?.nextTryDate) - before) / 60_000))
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60])
  assert.equal((await setup.jobs())[0]?.tries, 10)
})

test('a job outlives the process, and is tried by itself when its time has come', async (t) => {
  const setup = await arrange(t, 0.02)
  setup.reason = 'away'
  await setup.submit()
  await waitFor('a first try', () => setup.tried.length > 0)
  await setup.cloud.restart()
  assert.equal((await setup.jobs()).length, 1)
  setup.reason = undefined
  await setup.ripen()
  await waitFor('the job to be done', async () => (await setup.jobs()).length === 0)
})

test('a job that a clock ahead put off for good is tried all the same', async (t) => {
  const setup = await arrange(t, 0.02)
  setup.reason = 'away'
  await setup.submit()
  await waitFor('a first try', () => setup.tried.length > 0)
  setup.reason = undefined
  const nextTryDate = Date.now() + 30 * 24 * 3600_000
  await setup.cloud.cloud.context.db.write((tx) => update(tx, garbageCollector, {}, { nextTryDate }))
  await waitFor('the job to be done', async () => (await setup.jobs()).length === 0)
})

test('a deleted job is forgotten, and one whose plugin is gone stays and says so', async (t) => {
  const setup = await arrange(t)
  const uuid = await setup.submit({ type: 'gone.plugin' })
  await assert.rejects(setup.cloud.call(triggerGCJob, { uuid }), /is still there/)
  assert.match(
    String((await setup.jobs())[0]?.lastError),
    /no plugin removes what is of the kind gone\.plugin/,
  )
  await setup.cloud.call(deleteGCJob, { uuid })
  assert.deepEqual(await setup.jobs(), [])
  await setup.cloud.call(deleteGCJob, { uuid })
  await assert.rejects(setup.cloud.call(triggerGCJob, { uuid }), { code: 'SYS.1003' })
  await assert.rejects(setup.cloud.call(triggerGCJob, { uuid: newUuid() }), { code: 'SYS.1003' })
  assert.deepEqual(setup.tried, [])
})
