import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudError, sysErrors, waitFor } from '#kernel'
import { queryManagementNode } from '#plugins/management-node/contract/apis.ts'
import { beat } from '#plugins/management-node/handlers.ts'
import { explainTask } from '#plugins/task/contract/apis.ts'
import { createVm } from '#plugins/vm/cases/vm-scene.ts'
import { stopVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { queryWorkflow, retryWorkflow } from '#plugins/workflow/contract/apis.ts'
import { buildDataCenter, createTestCluster, simulatedHost, type TestCluster, type TestNode } from '#testkit'

const agree = (cluster: TestCluster, size: number) =>
  waitFor(`${size} members`, () =>
    cluster.nodes.every((node) => node.cloud.context.cluster.members.length === size),
  )

/** The node with this uuid, and one of the others. */
function split({ nodes }: TestCluster, uuid: string): { own: TestNode; other: TestNode } {
  const own = nodes.find((node) => node.nodeUuid === uuid)
  const other = nodes.find((node) => node.nodeUuid !== uuid)
  assert.ok(own !== undefined && other !== undefined)
  return { own, other }
}

async function sessionOf(node: TestNode): Promise<string> {
  const [row] = await node.cloud.context.db.all('SELECT uuid FROM SessionVO', [])
  return String(row?.uuid)
}

test('any node explains a task that another one runs', async (t) => {
  const cluster = await createTestCluster(t, 2)
  await agree(cluster, 2)
  const [node] = cluster.nodes as [TestNode]
  const dc = await buildDataCenter(node)
  const vm = await createVm(node, dc)
  const { own, other } = split(cluster, node.cloud.context.cluster.ownerOf(`vm:${vm.uuid}`))
  const hold = simulatedHost(cluster).knobs.hold('stopVm')
  t.after(() => hold.release())
  const request = { api: stopVmInstance, params: { uuid: vm.uuid }, sessionUuid: await sessionOf(other) }
  const { jobUuid: apiId } = await other.cloud.dispatcher.submit(request)
  await hold.waiting
  for (const asked of [own, other]) {
    const { inventory } = await asked.call(explainTask, { apiId })
    assert.deepEqual(
      [inventory.state, inventory.nodeUuid, inventory.workflows[0]?.name, inventory.agentCalls[0]?.name],
      ['Running', own.nodeUuid, 'vm.stop', 'host1'],
    )
    assert.deepEqual(
      inventory.holds.map(({ queue }) => queue),
      [`vm:${vm.uuid}`, `host-commands:${dc.hosts[0]}`],
    )
    assert.ok(inventory.progress.length > 0 && inventory.nodeSilence === undefined)
  }
  hold.release()
  await other.cloud.jobs.done(apiId)
  assert.equal((await other.call(explainTask, { apiId })).inventory.state, 'Succeeded')
})

test('stuck work of one node is retried through another, which tells the same reason', async (t) => {
  const cluster = await createTestCluster(t, 0)
  const observe = async ({ step, phase }: { step: string; phase: string }) => {
    if (step !== 'mark-running' || phase !== 'ran') return undefined
    simulatedHost(cluster).knobs.failAlways('*', new CloudError(sysErrors.ioError, 'the host is away'))
    throw new Error('the light went out')
  }
  const node = await cluster.add({ observe })
  await cluster.add({ observe })
  await agree(cluster, 2)
  const dc = await buildDataCenter(node)
  await assert.rejects(createVm(node, dc), /could not be taken back/)
  const [stuck] = await node.query(queryWorkflow)
  const { own, other } = split(cluster, String(stuck?.nodeUuid))
  assert.match(JSON.stringify(stuck?.queueKeys), /vm:/)
  const uuid = String(stuck?.uuid)
  await assert.rejects(other.call(retryWorkflow, { uuid }), {
    code: 'SYS.1006',
    details: /^step boot of vm\.create still cannot be taken back: the host is away/,
  })
  simulatedHost(cluster).knobs.clear()
  assert.deepEqual(await other.call(retryWorkflow, { uuid }), { outcome: 'rolled back', name: 'vm.create' })
  assert.deepEqual(await own.query(queryWorkflow), [])
})

test('every node is told with its share of the work, by any of them', async (t) => {
  const cluster = await createTestCluster(t, 3)
  await agree(cluster, 3)
  const [node] = cluster.nodes as [TestNode]
  const shares = async () =>
    (await node.query(queryManagementNode)).map(({ ringShare }) => Number(ringShare ?? 0))
  for (const { cloud } of cluster.nodes) await beat(cloud.context as never)
  const told = await shares()
  assert.equal(told.length, 3)
  for (const share of told) assert.ok(share > 20 && share < 50, told.join(' '))
})
