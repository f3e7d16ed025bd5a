import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { waitFor } from '#kernel'
import { addImage } from '#plugins/image/contract/apis.ts'
import { createVm, startCloudWithVm } from '#plugins/vm/cases/vm-scene.ts'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { stopVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { createDataVolume } from '#plugins/volume/contract/apis.ts'
import { simulatedHost, startCloud, type TestCloud } from '#testkit'
import { explained, submit } from './explain-scene.ts'

/** What the task waits behind, when it waits in a lane. */
async function laneOf(cloud: TestCloud, task: string) {
  const { state, waits } = await explained(cloud, task)
  const [wait] = waits
  return wait === undefined ? undefined : { state, queue: wait.queue, aheadCount: wait.aheadCount }
}

const waiting = (cloud: TestCloud, task: string) =>
  waitFor('the task to wait in a lane', () => laneOf(cloud, task))

async function endWell(t: TestContext, cloud: TestCloud, tasks: readonly string[]): Promise<void> {
  for (const task of tasks) {
    const result = await cloud.cloud.jobs.done(task)
    assert.ok(!('error' in result), JSON.stringify(result))
  }
  assert.deepEqual(cloud.cloud.context.lanes.entries(), [])
  t.diagnostic(`${tasks.length} tasks ended`)
}

test('a host works on so many commands at a time; the next wait in their order, and say so', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const others = [await createVm(cloud, dc), await createVm(cloud, dc), await createVm(cloud, dc)]
  await cloud.cloud.context.config.set('kvm', 'host.syncLevel', 2)
  const hold = host.knobs.hold('stopVm')
  t.after(() => hold.release())
  const before = host.knobs.count('stopVm')
  const tasks: string[] = []
  for (const { uuid } of [vm, ...others]) {
    const task = await submit(cloud, stopVmInstance, { uuid })
    // One after the other, so that it is known who came first.
    const inLine = async () =>
      (await laneOf(cloud, task)) ?? host.knobs.count('stopVm') - before > tasks.length
    await waitFor('it to reach the host or the lane', inLine)
    tasks.push(task)
  }
  const [, , third = '', fourth = ''] = tasks
  const queue = `host-commands:${dc.hosts[0]}`
  assert.deepEqual(await laneOf(cloud, third), { state: 'Waiting', queue, aheadCount: 2 })
  assert.deepEqual(await laneOf(cloud, fourth), { state: 'Waiting', queue, aheadCount: 3 })
  assert.equal(host.knobs.count('stopVm') - before, 2)
  await cloud.cloud.context.config.set('kvm', 'host.syncLevel', 3)
  await waitFor('the third to be let in', () => host.knobs.count('stopVm') - before === 3)
  assert.equal((await laneOf(cloud, fourth))?.queue, queue)
  hold.release()
  await endWell(t, cloud, tasks)
})

test('starts of VMs on one host wait among themselves, while other commands pass', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  await cloud.cloud.context.config.set('kvm', 'vm.createConcurrency', 1)
  const hold = host.knobs.hold('startVm')
  t.after(() => hold.release())
  const create = (name: string) =>
    submit(cloud, createVmInstance, {
      ...{ name, imageUuid: dc.image, instanceOfferingUuid: dc.instanceOffering, l3NetworkUuids: [dc.l3] },
      hostUuid: dc.hosts[0],
    })
  const first = await create('first')
  await hold.waiting
  const second = await create('second')
  const queue = `vm-starts:${dc.hosts[0]}`
  assert.deepEqual(await waiting(cloud, second), { state: 'Waiting', queue, aheadCount: 1 })
  await cloud.call(stopVmInstance, { uuid: vm.uuid })
  hold.release()
  await endWell(t, cloud, [first, second])
})

test('a primary storage works on so many volumes at a time, on each host when it lies there', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 2 })
  await cloud.cloud.context.config.set('primaryStorage', 'work.parallelismDegree', 1)
  const [host, other] = [simulatedHost(cloud), simulatedHost(cloud, 1)]
  const holds = [host, other].map(({ knobs }) => knobs.hold('createEmptyVolume'))
  t.after(() => {
    for (const hold of holds) hold.release()
  })
  const create = (name: string, hostUuid = '') =>
    submit(cloud, createDataVolume, {
      ...{ name, diskOfferingUuid: dc.diskOffering, primaryStorageUuid: dc.primaryStorage },
      systemTags: [`localStorage::hostUuid::${hostUuid}`],
    })
  const first = await create('first', dc.hosts[0])
  await holds[0]?.waiting
  const second = await create('second', dc.hosts[0])
  const queue = `storage-work:${dc.primaryStorage}/${dc.hosts[0]}`
  assert.deepEqual(await waiting(cloud, second), { state: 'Waiting', queue, aheadCount: 1 })
  const elsewhere = await create('elsewhere', dc.hosts[1])
  await holds[1]?.waiting
  for (const hold of holds) hold.release()
  await endWell(t, cloud, [first, second, elsewhere])
})

test('a backup storage works on so many downloads at a time', async (t) => {
  const { cloud, dc } = await startCloud(t)
  await cloud.cloud.context.config.set('image', 'download.parallelismDegree', 1)
  const [server] = cloud.world.backupStorages.values()
  assert.ok(server !== undefined)
  const hold = server.knobs.hold('downloadImage')
  t.after(() => hold.release())
  const add = (name: string) =>
    submit(cloud, addImage, {
      ...{ name, url: `http://images.example/${name}.qcow2?actual=1048576`, format: 'qcow2' },
      backupStorageUuids: [dc.backupStorage],
    })
  const first = await add('first')
  await hold.waiting
  const second = await add('second')
  const queue = `image-downloads:${dc.backupStorage}`
  assert.deepEqual(await waiting(cloud, second), { state: 'Waiting', queue, aheadCount: 1 })
  hold.release()
  await endWell(t, cloud, [first, second])
})
