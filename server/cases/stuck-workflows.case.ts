import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CloudError, sysErrors, waitFor } from '#kernel'
import { reconnectHost } from '#plugins/host/contract/apis.ts'
import { audit, buildDataCenter, createTestCloud, type DataCenter, type TestCloud } from '#testkit'
import type { WorkflowObserver } from '#workflow'
import { addVm } from './base-cloud.ts'

/** The VM's last step fails, and at that moment its host goes silent. */
async function withStuckCreation(work: (cloud: TestCloud, dc: DataCenter) => Promise<void>): Promise<void> {
  let running: TestCloud
  const observe: WorkflowObserver = async ({ step, phase }) => {
    if (step !== 'mark-running' || phase !== 'ran') return undefined
    for (const { knobs } of running.world.hosts.values())
      knobs.failAlways('*', new CloudError(sysErrors.ioError, 'the host is away'))
    throw new Error('injected')
  }
  const cloud = await createTestCloud({ observe })
  running = cloud
  try {
    const { hosts, ...dc } = await buildDataCenter(cloud)
    await assert.rejects(addVm(cloud, dc, {}), /injected.*could not be taken back and will be tried again/)
    const [row] = await cloud.cloud.context.workflows.unfinished()
    assert.equal(row?.state, 'Stuck')
    for (const { knobs } of cloud.world.hosts.values()) knobs.clear()
    await work(cloud, { hosts, ...dc })
    assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
    assert.deepEqual(await cloud.cloud.context.db.all('SELECT uuid FROM VmInstanceVO', []), [])
    for (const { state } of cloud.world.hosts.values()) assert.equal(state.vms.size, 0)
  } finally {
    await cloud.dispose()
  }
}

const isUndone = async ({ cloud }: TestCloud) => (await cloud.context.workflows.unfinished()).length === 0

describe('a rollback that failed because the host is away', () => {
  it('is finished when the host is connected again', () =>
    withStuckCreation(async (cloud, { hosts }) => {
      await cloud.call(reconnectHost, { uuid: hosts[0] ?? '' })
      await waitFor('the rollback is finished', () => isUndone(cloud))
    }))

  it('is finished by the next periodic try', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    await withStuckCreation(async (cloud) => {
      for (let seconds = 0; seconds < 30; seconds += 10) t.mock.timers.tick(10_000)
      for (let turn = 0; turn < 10_000 && !(await isUndone(cloud)); turn += 1)
        await new Promise((resolve) => setImmediate(resolve))
    })
  })
})
