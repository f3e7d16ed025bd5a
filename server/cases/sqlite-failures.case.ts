import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { waitFor } from '#kernel'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { createZone, queryZone } from '#plugins/zone/contract/apis.ts'
import { audit, startCloud } from '#testkit'

async function withCreations(t: TestContext) {
  const { cloud, dc } = await startCloud(t)
  const create = (count: number) =>
    Promise.allSettled(
      Array.from({ length: count }, (_, i) =>
        cloud.call(createVmInstance, {
          name: `vm-${i}`,
          instanceOfferingUuid: dc.instanceOffering,
          imageUuid: dc.image,
          l3NetworkUuids: [dc.l3],
        }),
      ),
    )
  return { cloud, create, db: cloud.cloud.context.db }
}

/** After the cause is gone: what had begun is taken back, and nothing of it is anywhere. */
async function requireNothingLeft({ cloud, db }: Awaited<ReturnType<typeof withCreations>>): Promise<void> {
  const { workflows } = cloud.cloud.context
  // Both are tried again by themselves; this only does not wait for the next time.
  await cloud.cloud.jobs.recordLeft()
  await workflows.retryStuck()
  await waitFor('nothing is under way', async () => (await workflows.unfinished()).length === 0)
  assert.deepEqual(await audit(db, cloud.world), [])
}

describe('the database of a management node', () => {
  it('is full: calls fail by name, nothing is half done, and all goes on when there is room again', async (t) => {
    const all = await withCreations(t)
    const { cloud, create, db } = all
    const [pages] = await db.all('PRAGMA page_count', [])
    // Room for the first steps of some, so that the disk is full in the middle of their work.
    await db.execute(`PRAGMA max_page_count = ${Number(pages?.page_count) + 2}`)
    const results = await create(40)
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    assert.ok(failures.length > 0, 'the database was never full')
    for (const failure of failures) assert.match(String(failure), /SYS\.1016 .*database or disk is full/)
    await cloud.query(queryZone)
    await db.execute('PRAGMA max_page_count = 1000000000')
    await requireNothingLeft(all)
    for (const result of await create(5)) assert.equal(result.status, 'fulfilled')
    await requireNothingLeft(all)
  })

  it('is read-only: calls fail by name, queries are answered, and all goes on when it can be written again', async (t) => {
    const all = await withCreations(t)
    const { cloud, create, db } = all
    const under = create(20)
    await waitFor(
      'creations are under way',
      async () => (await db.all('SELECT 1 FROM WorkflowVO', [])).length > 0,
    )
    await db.execute('PRAGMA query_only = ON')
    await assert.rejects(cloud.call(createZone, { name: 'never' }), {
      code: 'SYS.1016',
      details: /attempt to write a readonly database.*Nothing was changed/,
    })
    const failures = (await under).filter((result) => result.status === 'rejected')
    assert.ok(failures.length > 0)
    assert.equal((await cloud.query(queryZone)).length, 1)
    await db.execute('PRAGMA query_only = OFF')
    await requireNothingLeft(all)
    for (const result of await create(5)) assert.equal(result.status, 'fulfilled')
    await requireNothingLeft(all)
  })
})
