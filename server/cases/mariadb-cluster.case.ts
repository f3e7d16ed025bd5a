import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { newUuid } from '#kernel'
import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { queryManagementNode } from '#plugins/management-node/contract/apis.ts'
import { createVm } from '#plugins/vm/cases/vm-scene.ts'
import { cacheMode } from '#plugins/vm/contract/configs.ts'
import { queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { stopVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { createDataVolume } from '#plugins/volume/contract/apis.ts'
import { attachDataVolumeToVm } from '#plugins/volume/contract/attachment-apis.ts'
import { createZone, updateZone } from '#plugins/zone/contract/apis.ts'
import {
  audit,
  buildDataCenter,
  createTestCluster,
  inventoryOf,
  simulatedHost,
  type TestCluster,
  type TestNode,
  waitFor,
} from '#testkit'
import type { WorkflowMoment } from '#workflow'

const membersOf = (node: TestNode) => node.cloud.context.cluster.members.length
const agree = (cluster: TestCluster, size: number) =>
  waitFor(`${size} members`, () =>
    cluster.nodes.every((n) => n.fencedBy() !== undefined || membersOf(n) === size),
  )
const first = (cluster: TestCluster) => cluster.nodes[0] as TestNode

/** Two nodes, a data centre, and a third node that dies when it has done a step; `seen` counts how often it did. */
async function withMortal(t: TestContext, isLast: (moment: WorkflowMoment) => boolean) {
  const cluster = await createTestCluster(t, 2)
  await agree(cluster, 2)
  const node = first(cluster)
  const dc = await buildDataCenter(node)
  let seen = 0
  const mortal = await cluster.add({
    observe: async (moment) => {
      if (moment.phase !== 'ran' || !isLast(moment)) return undefined
      seen += 1
      mortal.die()
      return new Promise(() => {})
    },
  })
  await agree(cluster, 3)
  const requireInOrder = async () => assert.deepEqual(await audit(node.cloud.context.db, cluster.world), [])
  return { cluster, node, dc, mortal, seen: () => seen, requireInOrder }
}

describe('several management nodes', () => {
  test('they know each other, share the keys, and any of them serves every call', async (t) => {
    const cluster = await createTestCluster(t, 3)
    await agree(cluster, 3)
    const dc = await buildDataCenter(first(cluster))
    const vms = []
    for (const [i, node] of [...cluster.nodes, ...cluster.nodes].entries()) {
      const owner = cluster.nodes[i >> 1] as TestNode
      const resourceUuid = uuidOwnedBy(first(cluster), owner)
      vms.push(await createVm(node, dc, { name: `vm${i}`, resourceUuid } as never))
    }
    for (const [i, vm] of vms.entries()) {
      const node = cluster.nodes[(i + 1) % 3] as TestNode
      await node.call(stopVmInstance, { uuid: vm.uuid })
      await node.call(destroyVmInstance, { uuid: vm.uuid })
    }
    const states = (await first(cluster).query(queryVmInstance)).map((vm) => vm.state)
    assert.deepEqual(new Set(states), new Set(['Destroyed']))
    assert.equal((await first(cluster).query(queryManagementNode)).length, 3)
  })

  test('calls on one object from all nodes run one after the other', async (t) => {
    const cluster = await createTestCluster(t, 3)
    await agree(cluster, 3)
    const zone = inventoryOf(await first(cluster).call(createZone, { name: 'z' }))
    const names = Array.from({ length: 30 }, (_, i) => `z${i}`)
    await Promise.all(
      names.map((name, i) => (cluster.nodes[i % 3] as TestNode).call(updateZone, { uuid: zone.uuid, name })),
    )
  })

  test('a setting changed on one node counts on all', async (t) => {
    const cluster = await createTestCluster(t, 2)
    await agree(cluster, 2)
    const { category, name } = cacheMode
    await first(cluster).call(updateGlobalConfig, { category, name, value: 'writeback' })
    const seen = () => cluster.nodes.every((node) => node.cloud.context.config.get(cacheMode) === 'writeback')
    await waitFor('the new value on both nodes', seen)
  })

  test('a node dies in the middle of a creation: another takes it back, and its caller is told', async (t) => {
    const { node, dc, mortal, requireInOrder } = await withMortal(t, ({ step }) => step === 'boot')
    const resourceUuid = uuidOwnedBy(node, mortal)
    const creation = createVm(node, dc, { name: 'orphan', resourceUuid } as never)
    await assert.rejects(creation, /stopped during vm\.create; everything it had done was rolled back/)
    assert.deepEqual(await node.query(queryVmInstance), [])
    assert.equal(simulatedHost(node).state.vms.size, 0)
    await requireInOrder()
  })

  test('a node dies in the middle of a stop: another finishes it, and its caller is answered as if nothing had been', async (t) => {
    const isLast = ({ workflow, step }: WorkflowMoment) => workflow === 'vm.stop' && step === 'power-off'
    const { node, dc, mortal, seen, requireInOrder } = await withMortal(t, isLast)
    const uuid = uuidOwnedBy(node, mortal)
    await createVm(node, dc, { name: 'vm', resourceUuid: uuid } as never)
    const vm = inventoryOf(await node.call(stopVmInstance, { uuid }))
    assert.deepEqual([seen(), vm.uuid, vm.state], [1, uuid, 'Stopped'])
    await requireInOrder()
  })

  test('the node of a VM dies while it attaches a volume: the new one attaches it, and nobody is told', async (t) => {
    const isLast = ({ workflow }: WorkflowMoment) => workflow === 'volume.attach'
    const { node, dc, mortal, seen, requireInOrder } = await withMortal(t, isLast)
    const vmUuid = uuidOwnedBy(node, mortal)
    await createVm(node, dc, { name: 'vm', resourceUuid: vmUuid } as never)
    const size = { name: 'data', diskSize: 2 ** 20, resourceUuid: uuidOwnedBy(node, node) }
    const { uuid } = inventoryOf(await node.call(createDataVolume, size as never))
    const pair = { volumeUuid: uuid, vmInstanceUuid: vmUuid }
    const volume = inventoryOf(await node.call(attachDataVolumeToVm, pair))
    assert.deepEqual([seen(), volume.vmInstanceUuid, volume.status], [1, vmUuid, 'Ready'])
    await requireInOrder()
  })

  test('a node that was frozen while the others took its work over changes nothing when it wakes up', async (t) => {
    const cluster = await createTestCluster(t, 2)
    await agree(cluster, 2)
    const dc = await buildDataCenter(first(cluster))
    const reached = Promise.withResolvers<void>()
    const sleeper = await cluster.add({
      observe: async ({ step, phase }) => {
        if (step !== 'place' || phase !== 'ran') return undefined
        sleeper.freeze()
        reached.resolve()
        return undefined
      },
    })
    await agree(cluster, 3)
    const resourceUuid = uuidOwnedBy(first(cluster), sleeper)
    const creation = createVm(first(cluster), dc, { name: 'sleepy', resourceUuid } as never)
    await reached.promise
    await assert.rejects(creation, /everything it had done was rolled back/)
    const again = await createVm(first(cluster), dc, { name: 'again', resourceUuid } as never)
    assert.equal(again.state, 'Running')
    sleeper.wake()
    await waitFor('the sleeper to be told', () => sleeper.fencedBy() !== undefined)
    const [vm, ...more] = await first(cluster).query(queryVmInstance)
    assert.deepEqual([vm?.name, vm?.state, more], ['again', 'Running', []])
    assert.deepEqual(await audit(first(cluster).cloud.context.db, cluster.world), [])
  })

  test('a node that joins waits for what the others still do on keys that are its own now', async (t) => {
    const cluster = await createTestCluster(t, 1)
    const dc = await buildDataCenter(first(cluster))
    const vms = []
    for (let i = 0; i < 12; i += 1) vms.push(await createVm(first(cluster), dc, { name: `vm${i}` }))
    const hold = simulatedHost(first(cluster)).knobs.hold('stopVm')
    const stops = vms.map((vm) => first(cluster).call(stopVmInstance, { uuid: vm.uuid }))
    await hold.waiting
    const joiner = await cluster.add()
    await agree(cluster, 2)
    const moved = vms.filter((vm) => joiner.cloud.context.cluster.owns(`vm:${vm.uuid}`))
    assert.ok(moved.length > 0, 'the new node owns no VM')
    let ended = 0
    const destroys = moved.map((vm) =>
      joiner.call(destroyVmInstance, { uuid: vm.uuid }).then(() => {
        ended += 1
      }),
    )
    await joiner.query(queryVmInstance)
    assert.equal(ended, 0, 'two nodes worked on one VM at the same time')
    hold.release()
    await Promise.all([...stops, ...destroys])
    const destroyed = (await joiner.query(queryVmInstance)).filter((vm) => vm.state === 'Destroyed')
    assert.equal(destroyed.length, moved.length)
  })

  test('a node that stops in order finishes what it does, and the others go on without a gap', async (t) => {
    const cluster = await createTestCluster(t, 2)
    await agree(cluster, 2)
    const dc = await buildDataCenter(first(cluster))
    const leaver = await cluster.add()
    await agree(cluster, 3)
    const uuids = Array.from({ length: 4 }, () => uuidOwnedBy(first(cluster), leaver))
    const hold = simulatedHost(first(cluster)).knobs.hold('startVm')
    const creations = uuids.map((resourceUuid) =>
      createVm(first(cluster), dc, { name: 'v', resourceUuid } as never),
    )
    await hold.waiting
    const stopped = leaver.cloud.stop()
    const view = first(cluster).cloud.context.cluster
    await waitFor('the ring without it', () => !view.ring.members.includes(leaver.nodeUuid))
    const again = { name: 'again', resourceUuid: uuids[0] } as never
    const refused = assert.rejects(createVm(first(cluster), dc, again), /exists already/)
    hold.release()
    assert.deepEqual(
      (await Promise.all(creations)).map((vm) => vm.state),
      Array(4).fill('Running'),
    )
    await refused
    await stopped
    await waitFor('two members', () => view.members.length === 2)
  })
})

/** A uuid that is the node's, as another one sees it. */
function uuidOwnedBy(viewer: TestNode, owner: TestNode): string {
  for (let tries = 0; tries < 1_000; tries += 1) {
    const uuid = newUuid()
    if (viewer.cloud.context.cluster.ownerOf(`vm:${uuid}`) === owner.nodeUuid) return uuid
  }
  throw new Error(`the node ${owner.nodeUuid} owns nothing: ${owner.fencedBy() ?? 'it is no member'}`)
}
