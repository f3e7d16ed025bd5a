import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { defineConfig, int } from '#contract'
import { silentLogger } from '#kernel'
import { tempDatabase, waitFor } from '#testkit'
import { createConfig } from './config.ts'
import { createCloud } from './host.ts'
import { definePlugin, type Plugin } from './plugin.ts'
import { createThing, tinyCloud } from './tiny-cloud.testing.ts'

const node = { uuid: 'node', address: '127.0.0.1', dataDir: '/nowhere', version: '0' }
const plugin = (name: string, needs: string[] = [], setup: Plugin['setup'] = () => {}) =>
  definePlugin({ name, needs, setup })
const create = async (t: TestContext, ...plugins: Plugin[]) =>
  createCloud({ plugins, node, log: silentLogger, db: (await tempDatabase(t)).db })

test('plugins are set up after what they need; a missing one, a circle and a double are named', async (t) => {
  const order: string[] = []
  const noting = (name: string, ...needs: string[]) => plugin(name, needs, () => void order.push(name))
  await create(t, noting('c', 'b', 'a'), noting('b', 'a'), noting('a'))
  assert.deepEqual(order, ['a', 'b', 'c'])
  await assert.rejects(create(t, plugin('a', ['z'])), /plugin a needs z/)
  await assert.rejects(create(t, plugin('a', ['b']), plugin('b', ['a'])), /circle: a -> b -> a/)
  await assert.rejects(create(t, plugin('a'), plugin('a')), /two plugins are named a/)
})

test('what was started is stopped in reverse order, also when a later plugin fails to set up', async (t) => {
  const stopped: string[] = []
  const owning = (name: string, ...needs: string[]) =>
    plugin(name, needs, (ctx) => void ctx.own({ dispose: () => void stopped.push(name) }))
  const cloud = await create(t, owning('a'), owning('b', 'a'))
  await cloud.start()
  await cloud.stop()
  assert.deepEqual(stopped, ['b', 'a'])
  stopped.length = 0
  const failing = plugin('c', [], () => Promise.reject(new Error('no set-up')))
  await assert.rejects(create(t, owning('a'), failing), /no set-up/)
  assert.deepEqual(stopped, ['a'])
})

test('loading comes before recovery and readiness; a call is refused until all is done', async (t) => {
  const order: string[] = []
  const { cloud } = await tinyCloud(t, (await tempDatabase(t)).db, {
    plugins: [
      plugin('x', [], (ctx) => {
        ctx.onReady(() => void order.push('ready'))
        ctx.onLoad(() => void order.push('load'))
      }),
    ],
  })
  await assert.rejects(cloud.dispatcher.call({ api: createThing, params: {} }), { code: 'SYS.1010' })
  await cloud.start()
  assert.deepEqual(order, ['load', 'ready'])
  await cloud.stop()
  await assert.rejects(cloud.dispatcher.call({ api: createThing, params: {} }), {
    code: 'SYS.1010',
    details: /stopping/,
  })
})

test('a periodic job never overlaps itself, survives failures and is waited for at the stop', async (t) => {
  let runs = 0
  let running = 0
  let worst = 0
  const work = (): Promise<void> => {
    runs += 1
    if (runs === 1) throw new Error('synchronously')
    if (runs === 2) return Promise.reject(new Error('later'))
    running += 1
    worst = Math.max(worst, running)
    return new Promise((resolve) =>
      setImmediate(() => {
        running -= 1
        resolve()
      }),
    )
  }
  const cloud = await create(
    t,
    plugin('a', [], (ctx) => ctx.every('job', () => 0.001, work)),
  )
  await cloud.start()
  await waitFor('some runs', () => runs > 8)
  await cloud.stop()
  const atStop = runs
  assert.deepEqual([worst, running], [1, 0])
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(runs, atStop)
})

test('a period longer than a timer can wait does not run at once', async (t) => {
  let runs = 0
  const counting = async () => {
    runs += 1
  }
  const days = 60 * 86_400
  const cloud = await create(
    t,
    plugin('a', [], (ctx) => ctx.every('job', () => days, counting)),
  )
  await cloud.start()
  await assert.rejects(
    waitFor('a run', () => runs > 0, { timeoutMs: 30, intervalMs: 5 }),
    /in vain/,
  )
  await cloud.stop()
})

test('configuration: defaults, live values, listeners that hear of changes only and all of them', async () => {
  const limit = defineConfig({ category: 'c', name: 'n', description: 'd', field: int('i'), defaultValue: 1 })
  const config = createConfig([limit])
  const heard: number[] = []
  assert.equal(config.get(limit), 1)
  config.onChange(limit, () => assert.fail('a listener refuses'))
  config.onChange(limit, (value) => void heard.push(value))
  await config.set('c', 'n', 1)
  assert.throws(() => config.set('c', 'n', 2), AggregateError)
  assert.equal(config.get(limit), 2)
  assert.deepEqual(heard, [2])
  assert.throws(() => config.set('c', 'x', 1), /no global configuration c\.x/)
  assert.throws(() => createConfig([limit, limit]), /declared twice/)
})

test('a call cut off by a crash is answered after the restart, with what became of its workflow', async (t) => {
  const { db } = await tempDatabase(t)
  const reached = Promise.withResolvers<void>()
  const never = new Promise<never>(() => {})
  const first = await tinyCloud(t, db, {
    observe: ({ phase }) => {
      if (phase === 'ran') reached.resolve()
      return phase === 'ran' ? never : undefined
    },
  })
  await first.cloud.start()
  const params = { name: 'a', resourceUuid: '0123456789ab4def8123456789abcdef' }
  const { jobUuid } = await first.cloud.dispatcher.submit({ api: createThing, params, sessionUuid: 'good' })
  await reached.promise
  const second = await tinyCloud(t, db)
  await second.cloud.start()
  const status = await second.cloud.jobs.status(jobUuid)
  assert.equal(status?.state, 'Done')
  assert.match(
    JSON.stringify(status?.result),
    /stopped during thing\.create; everything it had done was rolled back/,
  )
  assert.deepEqual(await db.all('SELECT * FROM ThingVO', []), [])
  assert.equal(await second.cloud.jobs.purge(-1000), 1)
})
