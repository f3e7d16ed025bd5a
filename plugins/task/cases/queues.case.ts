import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from '#kernel'
import { createVm, startCloudWithVm } from '#plugins/vm/cases/vm-scene.ts'
import { rebootVmInstance, stopVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { createTestCluster } from '#testkit'
import { getChainTask, getHostTask, getVmTask } from '../contract/queue-apis.ts'
import { explained, submit } from './explain-scene.ts'

test('what runs and what waits is shown by queue, for a VM, for a host and for all', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const other = await createVm(cloud, dc, { name: 'other' })
  await cloud.cloud.context.config.set('kvm', 'host.syncLevel', 1)
  const hold = host.knobs.hold('stopVm')
  t.after(() => hold.release())
  const stop = await submit(cloud, stopVmInstance, { uuid: vm.uuid })
  await hold.waiting
  const reboot = await submit(cloud, rebootVmInstance, { uuid: vm.uuid })
  const second = await submit(cloud, stopVmInstance, { uuid: other.uuid })
  for (const task of [reboot, second])
    await waitFor('it to wait', async () => (await explained(cloud, task)).state === 'Waiting')

  const { results } = await cloud.call(getVmTask, { vmInstanceUuids: [vm.uuid] })
  assert.deepEqual(Object.keys(results), [`vm:${vm.uuid}`])
  const own = results[`vm:${vm.uuid}`]
  const [running] = own?.runningTask ?? []
  assert.deepEqual(
    [running?.name, running?.apiId, running?.apiName, running?.index, running?.context, running?.pendingTime],
    ['StopVmInstance', stop, 'StopVmInstance', 0, cloud.nodeUuid, 0],
  )
  assert.ok(Number(running?.executionTime) > 0)
  assert.deepEqual(
    own?.pendingTask.map(({ name, apiId, executionTime }) => [name, apiId, executionTime]),
    [['RebootVmInstance', reboot, 0]],
  )

  const ofHost = await cloud.call(getHostTask, { hostUuids: [vm.hostUuid] })
  const commands = ofHost.results[`host-commands:${vm.hostUuid}`]
  assert.deepEqual(
    [commands?.runningTask.map(({ apiId }) => apiId), commands?.pendingTask.map(({ apiId }) => apiId)],
    [[stop], [second]],
  )
  const all = await cloud.call(getChainTask, {})
  assert.equal(all.nodeSilence, undefined)
  for (const key of [`vm:${vm.uuid}`, `vm:${other.uuid}`, `host-commands:${vm.hostUuid}`])
    assert.ok(all.results[key] !== undefined, `${key} is missing in ${Object.keys(all.results)}`)
  const syncSignatures = [`vm:${other.uuid}`]
  assert.deepEqual(Object.keys((await cloud.call(getChainTask, { syncSignatures })).results), syncSignatures)
  hold.release()
  await cloud.cloud.jobs.idle(5_000)
  assert.deepEqual((await cloud.call(getChainTask, { syncSignatures })).results, {})
})

test('queues of all nodes are shown; of a thousand that wait the first 200 and their number', async (t) => {
  const { nodes } = await createTestCluster(t, 2)
  const [a, b] = nodes
  assert.ok(a !== undefined && b !== undefined)
  const gate = Promise.withResolvers<void>()
  const queue = (node: typeof b) => node.cloud.context.queues.run('test:x', 'work', () => gate.promise)
  const work = [queue(a), ...Array.from({ length: 1_001 }, () => queue(b))]
  const { results, nodeSilence } = await a.call(getChainTask, { syncSignatures: ['test:x'] })
  const chain = results['test:x']
  assert.deepEqual([nodeSilence, chain?.pendingCount, chain?.pendingTask.length], [undefined, 1_000, 200])
  assert.deepEqual(
    new Set(chain?.runningTask.map(({ context }) => context)),
    new Set([a.nodeUuid, b.nodeUuid]),
  )
  gate.resolve()
  await Promise.all(work)
})
