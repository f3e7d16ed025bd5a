import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Database } from '#db'
import { CloudError, sysErrors, waitFor } from '#kernel'
import { createVmInstance, queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance, expungeVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { audit, buildDataCenter, createTestCloud, inventoryOf } from '#testkit'

/** A database that refuses or delays as it is told. */
function failing(db: Database) {
  let writes = 0
  let refuses: (write: number) => string | undefined = () => undefined
  let delayMs = 0
  const late = <T>(work: () => Promise<T>): Promise<T> =>
    delayMs === 0
      ? work()
      : new Promise((resolve, reject) => {
          setTimeout(() => work().then(resolve, reject), delayMs)
        })
  const wrapped: Database = {
    ...db,
    all: (sql, params) => late(() => db.all(sql, params)),
    rows: (sql, params) => late(() => db.rows(sql, params)),
    write: (unit) =>
      late(() => {
        const reason = refuses(writes)
        writes += 1
        if (reason === undefined) return db.write(unit)
        return Promise.reject(
          new CloudError(sysErrors.ioError, `cannot write: ${reason}. Nothing was changed`),
        )
      }),
  }
  return {
    wrapped,
    /** From now on; writes count from 0. */
    refuse: (rule: typeof refuses) => {
      writes = 0
      refuses = rule
    },
    heal: () => {
      refuses = () => undefined
    },
    writes: () => writes,
    delay: (ms: number) => {
      delayMs = ms
    },
  }
}

async function arrange(t: TestContext) {
  let database: ReturnType<typeof failing> | undefined
  const cloud = await createTestCloud({
    wrap: (db) => {
      database = failing(db)
      return database.wrapped
    },
  })
  t.after(() => cloud.dispose())
  assert.ok(database)
  const dc = await buildDataCenter(cloud)
  const parts = { imageUuid: dc.image, l3NetworkUuids: [dc.l3], instanceOfferingUuid: dc.instanceOffering }
  const vms = () => cloud.query(queryVmInstance)
  const repair = async () => {
    const { workflows, db } = cloud.cloud.context
    await waitFor(
      'what is unfinished to be taken back',
      async () => (await workflows.retryStuck()).length === 0,
    )
    // As is done from time to time.
    await cloud.cloud.jobs.recordLeft()
    assert.deepEqual(await audit(db, cloud.world), [])
  }
  return {
    repair,
    cloud,
    database,
    vms,
    create: async (name = 'vm') => inventoryOf(await cloud.call(createVmInstance, { name, ...parts })),
    /** What a failure left is taken back by itself; nothing is lost or left over then. */
    settle: async () => {
      await repair()
      for (const vm of await vms()) {
        assert.equal(vm.state, 'Running')
        await cloud.call(destroyVmInstance, { uuid: String(vm.uuid) })
        await cloud.call(expungeVmInstance, { uuid: String(vm.uuid) })
      }
      await repair()
    },
  }
}

const FULL = 'database or disk is full'

describe('a database whose disk is full from a write of a creation on', () => {
  it('the caller is told, and nothing is left once it is well', async (t) => {
    const { cloud, database, create, settle, vms } = await arrange(t)
    database.refuse(() => undefined)
    await create()
    const writes = database.writes()
    await settle()
    assert.ok(writes > 10, `${writes} writes`)
    for (let at = 0; at < writes; at += 1) {
      database.refuse((n) => (n >= at ? FULL : undefined))
      const failure = await create().then(
        () => undefined,
        (error: unknown) => error,
      )
      database.heal()
      if (failure !== undefined) {
        assert.ok(failure instanceof CloudError, `write ${at}: ${String(failure)}`)
        const told = JSON.stringify([failure.details, String(failure.cause)])
        assert.match(told, new RegExp(FULL), `write ${at}`)
      }
      await settle().catch((e) => assert.fail(`write ${at}: ${e.message} after ${String(failure)}`))
      assert.deepEqual(await vms(), [], `write ${at}`)
    }
    assert.deepEqual(await cloud.cloud.context.workflows.unfinished(), [])
  })
})

describe('a database that takes 200 ms for each statement', () => {
  it('makes everything late and nothing wrong', async (t) => {
    const { database, create, settle } = await arrange(t)
    database.delay(200)
    const made = await Promise.all([create('a'), create('b'), create('c')])
    database.delay(0)
    assert.deepEqual(
      made.map((vm) => vm.state),
      ['Running', 'Running', 'Running'],
    )
    await settle()
  })
})
