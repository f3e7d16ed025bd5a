import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { startCloudWithVm } from '#plugins/vm/cases/vm-scene.ts'
import { rebootVmInstance, stopVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { createTestCloud, waitFor } from '#testkit'
import { getCurrentTime, getVersion, isReadyToGo, queryManagementNode } from '../contract/apis.ts'
import { getTaskProgress } from '../contract/task-apis.ts'

test('version, readiness and time are told without a session; the node is listed once, also after a restart', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const ask = (api: typeof getVersion) => cloud.cloud.dispatcher.call({ api, params: {} })
  assert.deepEqual(await ask(getVersion), { version: 'test' })
  const { currentTime } = (await ask(getCurrentTime as never)) as { currentTime: Record<string, number> }
  assert.ok(Math.abs(Number(currentTime.MillionSeconds) - Date.now()) < 5_000)
  assert.equal(currentTime.Seconds, Math.floor(Number(currentTime.MillionSeconds) / 1000))
  assert.ok(await ask(isReadyToGo as never))
  await cloud.restart()
  const [node, ...more] = await cloud.query(queryManagementNode)
  assert.deepEqual([more, node?.hostName], [[], '127.0.0.1'])
  assert.ok(Number(node?.heartBeat) >= Number(node?.joinDate))
  await cloud.cloud.stop()
  await assert.rejects(ask(isReadyToGo as never), { code: 'SYS.1010' })
  await cloud.restart()
})

test('a running job tells how far it is; when it is done its result can be asked for, also after a restart', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  const sessionOf = cloud.cloud.dispatcher
  const session = (await cloud.cloud.context.db.all('SELECT uuid FROM SessionVO', []))[0]?.uuid
  const hold = host.knobs.hold('stopVm')
  const { jobUuid } = await sessionOf.submit({
    api: stopVmInstance,
    params: { uuid: vm.uuid },
    sessionUuid: String(session),
  })
  await hold.waiting
  assert.equal((await cloud.cloud.jobs.status(jobUuid))?.state, 'Processing')
  const { inventories } = await cloud.call(getTaskProgress, { apiId: jobUuid })
  const [entry] = inventories as { taskUuid: string; taskName: string; type: string; content: string }[]
  assert.deepEqual([entry?.taskUuid, entry?.taskName, entry?.type], [jobUuid, 'StopVmInstance', 'Progress'])
  assert.ok(Number(entry?.content) > 0 && Number(entry?.content) < 100)
  const all = await cloud.call(getTaskProgress, { apiId: jobUuid, all: true })
  assert.ok((all.inventories?.length ?? 0) >= 2)
  hold.release()
  await cloud.cloud.jobs.done(jobUuid)
  assert.deepEqual((await cloud.call(getTaskProgress, { apiId: newUuid() })).inventories, [])
  await cloud.restart()
  const status = await cloud.cloud.jobs.status(jobUuid)
  assert.equal(status?.state, 'Done')
  assert.ok(status.result !== undefined && 'output' in status.result)
  assert.equal((status.result.output.inventory as { state: string }).state, 'Stopped')
})

test('a failed job keeps its error, also after a restart', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  const jobUuid = newUuid()
  const session = (await cloud.cloud.context.db.all('SELECT uuid FROM SessionVO', []))[0]?.uuid
  host.knobs.failNext('rebootVm', 'no power')
  const request = { api: rebootVmInstance, params: { uuid: vm.uuid }, sessionUuid: String(session), jobUuid }
  await cloud.cloud.dispatcher.submit(request)
  await waitFor('the job to end', async () => (await cloud.cloud.jobs.status(jobUuid))?.state === 'Done')
  await cloud.restart()
  const result = (await cloud.cloud.jobs.status(jobUuid))?.result
  assert.ok(result !== undefined && 'error' in result)
  assert.match(result.error.details, /no power/)
})
