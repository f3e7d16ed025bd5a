import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Api } from '#contract'
import { count, type Database, insert } from '#db'
import { CloudError, type Logger, newUuid, silentLogger, sysErrors } from '#kernel'
import { tempDatabase, waitFor } from '#testkit'
import type { CloudOptions } from './host.ts'
import { jobRecord } from './jobs.ts'
import {
  createThing,
  deleteThing,
  getThing,
  queryThing,
  thing,
  tinyCloud,
  touchThing,
} from './tiny-cloud.testing.ts'

const good = { sessionUuid: 'good' }
const asked = (api: Api, params: Record<string, unknown> = {}, more: object = good) => ({
  api,
  params,
  ...more,
})

async function started(t: TestContext, options: Partial<CloudOptions> = {}) {
  const tiny = await tinyCloud(t, (await tempDatabase(t)).db, options)
  await tiny.cloud.start()
  return { ...tiny, ...tiny.cloud, call: tiny.cloud.dispatcher.call, submit: tiny.cloud.dispatcher.submit }
}

test('readiness goes before the session, the session before the parameters, those before the references', async (t) => {
  const { cloud } = await tinyCloud(t, (await tempDatabase(t)).db)
  const { call } = cloud.dispatcher
  const bad = { uuid: 7_000_000_000, what: 'x'.repeat(3000) }
  await assert.rejects(call(asked(touchThing, bad, {})), { code: 'SYS.1010' })
  await cloud.start()
  await assert.rejects(call(asked(touchThing, bad, {})), { code: 'ID.1001' })
  await assert.rejects(call(asked(touchThing, bad)), { code: 'SYS.1007', opaque: { field: 'what' } })
  await assert.rejects(call(asked(touchThing, { uuid: newUuid() })), { code: 'SYS.1003' })
  await assert.rejects(call(asked({ ...touchThing, name: 'Nobody' }, {})), { code: 'SYS.1008' })
  await assert.rejects(call(asked(createThing, { name: 'a', resourceUuid: 'x-y' })), { code: 'SYS.1007' })
})

test('a refused call can be polled, is not stored, and hides nobody else’s result', async (t) => {
  const { call, submit, jobs } = await started(t)
  const { jobUuid } = await submit(asked(createThing, {}))
  const status = await jobs.status(jobUuid)
  assert.equal(status?.state, 'Done')
  assert.match(JSON.stringify(status?.result), /SYS\.1007.*name/)
  const victim = newUuid()
  await call(asked(createThing, { name: 'a', resourceUuid: newUuid() }, { ...good, jobUuid: victim }))
  await submit(asked(createThing, { name: 'b' }, { jobUuid: victim, sessionUuid: 'stolen' }))
  assert.ok(
    'output' in ((await jobs.status(victim))?.result ?? {}),
    'the refused call is shown in place of the job',
  )
  assert.equal((await submit(asked(createThing, {}, { ...good, jobUuid: 'bad' }))).jobUuid, 'bad')
})

test('the uuid of a job, running or done, is refused for another, and the first goes on', async (t) => {
  const { behaviour, db, call, submit } = await started(t)
  const { promise, resolve } = Promise.withResolvers<unknown>()
  await db.write((tx) => insert(tx, thing, { uuid: 'a', name: 'a' }))
  behaviour.touch = () => promise
  const jobUuid = newUuid()
  const first = call(asked(touchThing, { uuid: 'a' }, { ...good, jobUuid }))
  await assert.rejects(
    (async () => {
      await new Promise((next) => setImmediate(next))
      await submit(asked(touchThing, { uuid: 'a' }, { ...good, jobUuid }))
    })(),
    { code: 'SYS.1007', details: /exists already/ },
  )
  resolve({ inventory: 1 })
  assert.deepEqual(await first, { inventory: 1 })
  await assert.rejects(submit(asked(touchThing, { uuid: 'a' }, { ...good, jobUuid })), { code: 'SYS.1007' })
})

test('deleting what is gone succeeds, also when it goes while the call waits in the queue', async (t) => {
  const { db, call } = await started(t)
  const uuid = newUuid()
  assert.deepEqual(await call(asked(deleteThing, { uuid })), {})
  await assert.rejects(call(asked(deleteThing, { uuid: 'no uuid' })), { code: 'SYS.1003' })
  await db.write((tx) => insert(tx, thing, { uuid, name: 'a' }))
  const both = [call(asked(deleteThing, { uuid })), call(asked(deleteThing, { uuid }))]
  assert.deepEqual(await Promise.all(both), [{}, {}])
})

test('calls of one key run one after the other, of other keys at the same time; a waiting one can be cancelled', async (t) => {
  const { behaviour, db, call } = await started(t)
  await db.write(async (tx) => {
    for (const uuid of ['a', 'b']) await insert(tx, thing, { uuid, name: uuid })
  })
  const running: string[] = []
  const gates = new Map(['1', '2', '3'].map((w) => [w, Promise.withResolvers<void>()]))
  behaviour.touch = async (what = '') => {
    running.push(what)
    await gates.get(what)?.promise
    return {}
  }
  const controller = new AbortController()
  const first = call(asked(touchThing, { uuid: 'a', what: '1' }))
  await waitFor('the first to run', () => running.length === 1)
  const second = call(asked(touchThing, { uuid: 'a', what: '2' }, { ...good, signal: controller.signal }))
  const other = call(asked(touchThing, { uuid: 'b', what: '3' }))
  await waitFor('the other key to run', () => running.includes('3'))
  assert.deepEqual(running, ['1', '3'])
  const cancelled = assert.rejects(second, { code: 'SYS.1017' })
  controller.abort()
  for (const gate of gates.values()) gate.resolve()
  await Promise.all([first, other, cancelled])
  assert.deepEqual(running, ['1', '3'])
})

test('the result is stored exactly when the workflow ends', async (t) => {
  const { behaviour, db, jobs, call, submit } = await started(t)
  const resourceUuid = newUuid()
  const { jobUuid } = await submit(asked(createThing, { name: 'a', resourceUuid }))
  await jobs.done(jobUuid)
  assert.deepEqual((await jobs.status(jobUuid))?.result, { output: { inventory: { uuid: resourceUuid } } })
  behaviour.reply = () => 1n
  await assert.rejects(call(asked(createThing, { name: 'b', resourceUuid: newUuid() })), { code: 'SYS.1000' })
  assert.equal(await count(db, thing, {}), 1, 'a thing whose result could not be stored is still there')
  behaviour.insertThing = () => Promise.reject(new Error('no'))
  await assert.rejects(call(asked(createThing, { name: 'c', resourceUuid: newUuid() })), { code: 'SYS.1000' })
  assert.equal(await count(db, thing, {}), 1)
})

test('a bug of a handler is logged with its stack and reaches the client as SYS.1000 without it', async (t) => {
  const bugs: object[] = []
  const log: Logger = { ...silentLogger, error: (fields) => void bugs.push(fields), child: () => log }
  const { behaviour, db, jobs, call, submit } = await started(t, { log })
  await db.write((tx) => insert(tx, thing, { uuid: 'a', name: 'a' }))
  const thrown: unknown[] = [new TypeError('x is not a function'), null, undefined, 'word', { odd: 1 }]
  for (const what of thrown) {
    behaviour.touch = () => Promise.reject(what)
    await assert.rejects(call(asked(getThing, { what: '' })), { name: 'CloudError', code: 'SYS.1000' })
    await assert.rejects(call(asked(touchThing, { uuid: 'a' })), { name: 'CloudError', code: 'SYS.1000' })
    const { jobUuid } = await submit(asked(touchThing, { uuid: 'a' }))
    const status = await waitFor('the job', async () => {
      const now = await jobs.status(jobUuid)
      return now?.state === 'Done' ? now : undefined
    })
    assert.doesNotMatch(JSON.stringify(status), /\.test\.ts/)
  }
  assert.equal(bugs.length, thrown.length * 3)
  assert.match(JSON.stringify(bugs[0]), /dispatcher\.test\.ts/)
})

test('validationOnly checks and does nothing; queries are answered', async (t) => {
  const { db, call } = await started(t)
  const validate = { name: 'a', resourceUuid: newUuid(), systemTags: ['validationOnly'] }
  assert.deepEqual(await call(asked(createThing, validate)), {})
  await assert.rejects(call(asked(createThing, { ...validate, name: 'x'.repeat(11) })), { code: 'SYS.1007' })
  await db.write((tx) => insert(tx, thing, { uuid: 'a', name: 'A' }))
  const query = { conditions: [{ name: 'name', op: '=', value: 'a' }] }
  const reply = await call(asked(queryThing, {}, { ...good, query }))
  assert.deepEqual(reply, { inventories: [{ uuid: 'a', name: 'A' }] })
})

test('a uuid that a resource has, or that another creation is about to give, is refused and harms neither', async (t) => {
  const { db, call } = await started(t)
  const resourceUuid = newUuid()
  const creations = ['a', 'b'].map((name) => call(asked(createThing, { name, resourceUuid })))
  const [first, second] = await Promise.allSettled(creations)
  assert.equal(first?.status, 'fulfilled')
  assert.equal(second?.status === 'rejected' && second.reason.code, 'SYS.1007')
  const third = call(asked(createThing, { name: 'c', resourceUuid }))
  await assert.rejects(third, { code: 'SYS.1007', opaque: { field: 'resourceUuid' } })
  assert.deepEqual(await db.all('SELECT `name` FROM `ThingVO`', []).then((rows) => rows.map((r) => r.name)), [
    'a',
  ])
})

test('a call that did its work is answered so, also when the database cannot take the result for a while', async (t) => {
  const { db: real } = await tempDatabase(t)
  let refuses = false
  const down = new CloudError(sysErrors.ioError, 'no database server answers. Nothing was changed')
  const db: Database = {
    ...real,
    write: (unit) =>
      real.write(async (tx) => {
        const run: typeof tx.run = (sql, params) =>
          refuses && sql.startsWith('UPDATE `JobVO`') ? Promise.reject(down) : tx.run(sql, params)
        return unit({ ...tx, run })
      }),
  }
  const { cloud } = await tinyCloud(t, db)
  await cloud.start()
  await db.write((tx) => insert(tx, thing, { uuid: 'a', name: 'a' }))
  refuses = true
  const { jobUuid } = await cloud.dispatcher.submit(asked(deleteThing, { uuid: 'a' }))
  assert.deepEqual(await cloud.jobs.done(jobUuid), { output: {} })
  assert.deepEqual((await cloud.jobs.status(jobUuid))?.result, { output: {} })
  assert.equal(await count(db, jobRecord, { uuid: jobUuid, state: 'Done' }), 0)
  refuses = false
  await cloud.jobs.recordLeft()
  assert.equal(await count(db, jobRecord, { uuid: jobUuid, state: 'Done' }), 1)
})
