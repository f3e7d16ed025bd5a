import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getCpuMemoryCapacity, queryHost } from '#plugins/host/contract/apis.ts'
import { createDataVolume } from '#plugins/volume/contract/apis.ts'
import { attachDataVolumeToVm } from '#plugins/volume/contract/attachment-apis.ts'
import { databaseContent, inventoryOf, waitFor } from '#testkit'
import { queryVmInstance } from '../contract/create-apis.ts'
import { destroyVmInstance } from '../contract/deletion-apis.ts'
import { migrateVm } from '../contract/migration-apis.ts'
import { pauseVmInstance, resumeVmInstance, startVmInstance, stopVmInstance } from '../contract/power-apis.ts'
import { createVm, startCloudWithVm } from './vm-scene.ts'

const GiB = 2 ** 30

test('after a restart of the management everything is as it was, and goes on', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(
    t,
    { hosts: 2 },
    { dataDiskSizes: [GiB], userTags: ['x'] },
  )
  const off = await createVm(cloud, dc, { name: 'off' })
  await cloud.call(stopVmInstance, { uuid: off.uuid })
  const gone = await createVm(cloud, dc, { name: 'gone' })
  await cloud.call(destroyVmInstance, { uuid: gone.uuid })
  const paused = await createVm(cloud, dc, { name: 'paused' })
  await cloud.call(pauseVmInstance, { uuid: paused.uuid })
  const content = await databaseContent(cloud)
  const capacity = await cloud.call(getCpuMemoryCapacity, { zoneUuids: [dc.zone] })
  const pings = host.knobs.count('hostPing')
  await cloud.restart()
  await waitFor('the hosts to be looked after', () => host.knobs.count('hostPing') >= pings + 2)
  await waitFor('all to be the same', async () => {
    assert.deepEqual(await databaseContent(cloud), content)
    return true
  })
  assert.deepEqual(await cloud.call(getCpuMemoryCapacity, { zoneUuids: [dc.zone] }), capacity)
  await cloud.call(resumeVmInstance, { uuid: paused.uuid })
  await cloud.call(startVmInstance, { uuid: off.uuid })
  assert.equal(inventoryOf(await cloud.call(migrateVm, { vmInstanceUuid: vm.uuid })).hostUuid, dc.hosts[1])
  const { uuid } = inventoryOf(await cloud.call(createDataVolume, { name: 'd', diskSize: GiB }))
  await cloud.call(attachDataVolumeToVm, { volumeUuid: uuid, vmInstanceUuid: vm.uuid })
})

test('what happened to VMs while the management was down is found out when it starts', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const stays = await createVm(cloud, dc, { name: 'stays' })
  await cloud.cloud.stop()
  host.knobs.guestShutdown(vm.uuid)
  await cloud.restart()
  const states = async () =>
    Object.fromEntries((await cloud.query(queryVmInstance)).map((v) => [v.uuid, v.state]))
  await waitFor('the states to be true', async () => {
    assert.deepEqual(await states(), { [vm.uuid]: 'Stopped', [stays.uuid]: 'Running' })
    return true
  })
  const [shown] = await cloud.query(queryHost)
  assert.equal(Number(shown?.totalMemoryCapacity) - Number(shown?.availableMemoryCapacity), stays.memorySize)
})

test('a life of many VMs leaves no trace in any book', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const vms = await Promise.all(
    Array.from({ length: 20 }, (_, i) => createVm(cloud, dc, { name: `vm${i}`, dataDiskSizes: [GiB] })),
  )
  await Promise.all(
    vms.map(async ({ uuid }, i) => {
      if (i % 2 === 0) await cloud.call(stopVmInstance, { uuid })
      await cloud.call(destroyVmInstance, { uuid })
    }),
  )
  const shown = (await cloud.query(queryHost))[0]
  assert.equal(Number(shown?.totalMemoryCapacity) - Number(shown?.availableMemoryCapacity), vm.memorySize)
  assert.deepEqual([...host.state.vms.keys()], [vm.uuid])
  assert.equal(host.state.networks.get(dc.l3)?.leases.size, 1)
})
