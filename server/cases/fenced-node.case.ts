import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitFor } from '#kernel'
import { createVmInstance, queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { audit, buildDataCenter, createTestCluster, simulatedHost, type TestNode } from '#testkit'

test('what a paused node had sent is refused by the agent once others have taken it back', async (t) => {
  const { nodes, world } = await createTestCluster(t, 3)
  const [first] = nodes as [TestNode]
  const dc = await buildDataCenter(first)
  const host = simulatedHost({ world })
  host.knobs.recordCalls(true)
  // The command is on its way, and the agent has not begun it.
  const onItsWay = host.knobs.hold('createVolumeFromCache')
  const creation = first.call(createVmInstance, {
    name: 'vm',
    imageUuid: dc.image,
    l3NetworkUuids: [dc.l3],
    instanceOfferingUuid: dc.instanceOffering,
  })
  const ended = creation.then(
    () => undefined,
    (error: unknown) => error,
  )
  await onItsWay.waiting
  const [workflow] = await first.cloud.context.db.all(
    "SELECT nodeUuid FROM WorkflowVO WHERE name = 'vm.create'",
    [],
  )
  const paused = nodes.find((node) => node.nodeUuid === workflow?.nodeUuid)
  const alive = nodes.filter((node) => node !== paused)
  const [heir] = alive
  assert.ok(paused !== undefined && heir !== undefined)
  paused.freeze()
  const { db } = heir.cloud.context
  const isTakenBack = async () =>
    heir.cloud.context.cluster.members.length === 2 &&
    (await db.all('SELECT uuid FROM WorkflowVO', [])).length === 0
  await waitFor('the others to take the creation back', isTakenBack, { timeoutMs: 20_000 })

  const before = host.knobs.count()
  onItsWay.release()
  paused.wake()
  await waitFor('the paused node to learn that it is out', () => paused.fencedBy() !== undefined)
  const sent = host.knobs.calls().slice(before)
  assert.deepEqual(
    sent.filter(({ name }) => name !== 'hostPing').map(({ name }) => name),
    [],
    'commands of a node that is out',
  )
  assert.deepEqual(await heir.query(queryVmInstance), [])
  // The disk it wanted to be made would be nobody's.
  assert.deepEqual(await audit(db, world), [])
  if (first !== paused) assert.ok((await ended) instanceof Error)
})
