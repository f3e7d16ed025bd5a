import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { CloudError, sysErrors, waitFor } from '#kernel'
import { reconnectHost } from '#plugins/host/contract/apis.ts'
import { detachL2NetworkFromCluster } from '#plugins/l2-network/contract/cluster-apis.ts'
import { buildDataCenter, createTestCluster, type TestNode } from '#testkit'
import { queryGCJob, triggerGCJob } from '../contract/apis.ts'

/** Three nodes, and a host that was away while a network left its cluster. */
async function arrange(t: TestContext) {
  const { nodes, world } = await createTestCluster(t, 3)
  const [first, second, third] = nodes as [TestNode, TestNode, TestNode]
  const dc = await buildDataCenter(first, { hosts: 2 })
  const hostUuid = String(dc.hosts[1])
  const host = world.hosts.get('10.1.0.2')
  assert.ok(host)
  host.knobs.failAlways('*', new CloudError(sysErrors.ioError, 'the host is away'))
  await assert.rejects(second.call(reconnectHost, { uuid: hostUuid }), /the host is away/)
  await second.call(detachL2NetworkFromCluster, { l2NetworkUuid: dc.l2, clusterUuid: dc.cluster })
  const jobs = (node: TestNode) => node.query(queryGCJob)
  const bridgeJob = async (node: TestNode) =>
    (await jobs(node)).find((job) => job.runnerClass === 'l2-network.bridge')
  const uuid = String((await bridgeJob(third))?.uuid)
  return { nodes: [first, second, third] as const, host, hostUuid, jobs, bridgeJob, uuid }
}

test('what a host has left is removed whichever node it comes back to', async (t) => {
  const { nodes, host, hostUuid, jobs } = await arrange(t)
  assert.equal(host.state.bridges.size, 1)
  host.knobs.clear()
  await nodes[2].call(reconnectHost, { uuid: hostUuid })
  await waitFor('the jobs to be done', async () => (await jobs(nodes[0])).length === 0)
  assert.equal(host.state.bridges.size, 0)
})

test('a job whose node dies in the middle of a try is done by another', async (t) => {
  const { nodes, host, hostUuid, jobs, bridgeJob, uuid } = await arrange(t)
  host.knobs.clear()
  const held = host.knobs.hold('deleteBridge')
  await nodes[0].call(reconnectHost, { uuid: hostUuid })
  await held.waiting
  const job = await bridgeJob(nodes[0])
  assert.equal(job?.status, 'Processing')
  const owner = nodes.find((node) => node.nodeUuid === job?.managementNodeUuid)
  owner?.die()
  const alive = nodes.find((node) => node !== owner)
  assert.ok(owner !== undefined && alive !== undefined)
  host.knobs.clear()
  const isDone = async () => {
    // Until the others know that it is dead the call is for its owner.
    await alive.call(triggerGCJob, { uuid }).catch(() => undefined)
    return (await bridgeJob(alive)) === undefined
  }
  await waitFor('another node to do it', isDone, { timeoutMs: 20_000, intervalMs: 100 })
  assert.deepEqual([host.state.bridges.size, await bridgeJob(alive)], [0, undefined])
  await waitFor('no job to be left', async () => (await jobs(alive)).length === 0)
})
