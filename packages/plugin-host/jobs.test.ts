import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { CloudError, sysErrors, toErrorBody } from '#kernel'
import { tempDatabase } from '#testkit'
import { createJobs, jobMigration, jobOwnerMigration } from './jobs.ts'

/** Jobs of two nodes on one database; the runs in `dead` are over. */
async function twoNodes(t: TestContext, dead: ReadonlySet<string>) {
  const { db } = await tempDatabase(t, [jobMigration, jobOwnerMigration])
  const isAlive = (nodeUuid: string) => !dead.has(nodeUuid)
  const on = (nodeUuid: string) => createJobs({ db, owner: { nodeUuid, incarnation: 1 }, isAlive })
  const job = { uuid: '0123456789ab4def8123456789abcdef', apiName: 'Api', accountUuid: 'a' }
  const first = on('first')
  await first.accept(job)
  const settle = (reason: string) => {
    const error = toErrorBody(new CloudError(sysErrors.operationFailed, reason))
    return db.write((tx) => on('second').settleOrphan(tx, job.uuid, { error }))
  }
  return { db, job, first, second: on('second'), settle }
}

test('a job whose node lives is its own to end, also when another node died in the middle of its work', async (t) => {
  const { db, job, first, second, settle } = await twoNodes(t, new Set())
  await settle('the node of a part of it stopped')
  assert.deepEqual(await second.orphans(() => true), [])
  assert.equal((await second.status(job.uuid))?.state, 'Processing')
  await db.write((tx) => first.record(tx, job.uuid, { output: { done: true } }))
  assert.deepEqual((await second.status(job.uuid))?.result, { output: { done: true } })
})

test('a job whose node died is ended once, by its heir', async (t) => {
  const { job, second, settle } = await twoNodes(t, new Set(['first']))
  assert.deepEqual(await second.orphans(() => true), [job.uuid])
  await settle('everything was rolled back')
  await settle('nobody knows')
  assert.deepEqual(await second.orphans(() => true), [])
  assert.match(JSON.stringify((await second.status(job.uuid))?.result), /everything was rolled back/)
})
