import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { changeHostState, deleteHost, queryHost, reconnectHost } from '#plugins/host/contract/apis.ts'
import { deleteImage } from '#plugins/image/contract/deletion-apis.ts'
import { deleteL3Network } from '#plugins/l3-network/contract/apis.ts'
import { createDataVolume } from '#plugins/volume/contract/apis.ts'
import { attachDataVolumeToVm } from '#plugins/volume/contract/attachment-apis.ts'
import { audit, inventoryOf, simulatedHost, startCloud, waitFor } from '#testkit'
import { createVmInstance, queryVmInstance } from '../contract/create-apis.ts'
import { destroyVmInstance, expungeVmInstance } from '../contract/deletion-apis.ts'
import { migrateVm } from '../contract/migration-apis.ts'
import { rebootVmInstance, startVmInstance, stopVmInstance } from '../contract/power-apis.ts'
import { createVm, startCloudWithVm } from './vm-scene.ts'

const GiB = 2 ** 30

test('everything at once on a few VMs: whatever wins, the books agree with the hosts', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 3 })
  const vms = await Promise.all(
    [0, 1, 2, 3].map((i) => createVm(cloud, dc, { name: `vm${i}`, hostUuid: undefined })),
  )
  const volumes = await Promise.all(
    [0, 1, 2, 3].map(async (i) =>
      inventoryOf(await cloud.call(createDataVolume, { name: `v${i}`, diskSize: GiB })),
    ),
  )
  const calls = vms.flatMap(({ uuid }, i) => [
    () => cloud.call(stopVmInstance, { uuid }),
    () => cloud.call(migrateVm, { vmInstanceUuid: uuid }),
    () => cloud.call(startVmInstance, { uuid }),
    () => cloud.call(rebootVmInstance, { uuid }),
    () => cloud.call(attachDataVolumeToVm, { vmInstanceUuid: uuid, volumeUuid: volumes[i]?.uuid }),
    () => cloud.call(attachDataVolumeToVm, { vmInstanceUuid: uuid, volumeUuid: volumes[(i + 1) % 4]?.uuid }),
    () => cloud.call(startVmInstance, { uuid }),
    () => cloud.call(migrateVm, { vmInstanceUuid: uuid }),
  ])
  const results = await Promise.allSettled(calls.map((call) => call() as Promise<unknown>))
  for (const r of results)
    if (r.status === 'rejected') assert.notEqual(r.reason.code, 'SYS.1000', String(r.reason))
  assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
})

test('a VM destroyed and expunged while others are made leaves the books in order', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 2 })
  const life = async (i: number) => {
    const { uuid } = await createVm(cloud, dc, { name: `vm${i}`, hostUuid: undefined, dataDiskSizes: [GiB] })
    if (i % 3 === 0) await cloud.call(stopVmInstance, { uuid })
    await Promise.allSettled([cloud.call(destroyVmInstance, { uuid }), cloud.call(startVmInstance, { uuid })])
    if (i % 2 === 0) await cloud.call(expungeVmInstance, { uuid })
  }
  await Promise.all(Array.from({ length: 12 }, (_, i) => life(i)))
  assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
  const free = (await cloud.query(queryHost)).every(
    (h) => h.availableMemoryCapacity === h.totalMemoryCapacity,
  )
  assert.ok(free)
})

test('a host deleted, maintained or reconnected while VMs are being placed never ends with a VM on a host that is gone', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 3 })
  const [h1, h2, h3] = dc.hosts.map(String)
  const input = {
    name: 'a',
    imageUuid: dc.image,
    instanceOfferingUuid: dc.instanceOffering,
    zoneUuid: dc.zone,
  }
  const creations = Array.from({ length: 12 }, () => cloud.call(createVmInstance, input))
  const others = [
    cloud.call(deleteHost, { uuid: String(h1) }),
    cloud.call(changeHostState, { uuid: String(h2), stateEvent: 'maintain' }),
    cloud.call(reconnectHost, { uuid: String(h3) }),
  ]
  await Promise.allSettled([...creations, ...others])
  const hosts = new Set((await cloud.query(queryHost)).map((h) => h.uuid))
  for (const vm of await cloud.query(queryVmInstance))
    assert.ok(hosts.has(vm.hostUuid), `${vm.uuid} is on no host`)
  assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
})

test('a network or image deleted while VMs are made of it never leaves a VM without it', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const creations = Array.from({ length: 8 }, () => createVm(cloud, dc))
  const deletions = [
    cloud.call(deleteL3Network, { uuid: dc.l3 }),
    cloud.call(deleteImage, { uuid: dc.image }),
  ]
  await Promise.allSettled([...creations, ...deletions])
  assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
})

test('a host with a VM on its way is neither maintained nor deleted', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 2 })
  const uuid = String(dc.hosts[0])
  const hold = simulatedHost(cloud).knobs.hold('cacheImage')
  const creating = createVm(cloud, dc)
  await hold.waiting
  await assert.rejects(cloud.call(changeHostState, { uuid, stateEvent: 'maintain' }), { code: 'HOST.1001' })
  await assert.rejects(cloud.call(deleteHost, { uuid }), { code: 'SYS.1004' })
  hold.release()
  assert.equal((await creating).hostUuid, uuid)
  assert.equal((await cloud.query(queryHost)).length, 2)
})

test('a host that dies while a VM is made there leaves nothing of it once it is back', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const { knobs } = simulatedHost(cloud)
  const hold = knobs.hold('startVm')
  const creating = createVm(cloud, dc, { dataDiskSizes: [GiB], userTags: ['x'] })
  await hold.waiting
  knobs.crash()
  await assert.rejects(creating, /connection refused/)
  knobs.clear()
  knobs.start()
  await cloud.call(reconnectHost, { uuid: String(dc.hosts[0]) })
  await waitFor('the rest to be removed', async () => {
    assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
    return true
  })
  assert.deepEqual(await cloud.query(queryVmInstance), [])
  assert.ok(await createVm(cloud, dc))
})

test('a guest that dies while it is being started is Stopped in the end', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const { knobs, state } = simulatedHost(cloud)
  const hold = knobs.hold('startVm', { after: true })
  const creating = createVm(cloud, dc)
  await hold.waiting
  for (const uuid of state.vms.keys()) knobs.crashVm(uuid)
  hold.release()
  await creating
  await waitFor(
    'the VM to be Stopped',
    async () => (await cloud.query(queryVmInstance))[0]?.state === 'Stopped',
  )
  assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
})

test('a guest that ends by itself in the middle of work on its VM is Stopped in the end', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  const { uuid } = vm
  const hold = host.knobs.hold('rebootVm', { after: true })
  const rebooting = cloud.call(rebootVmInstance, { uuid })
  await hold.waiting
  host.knobs.guestShutdown(uuid)
  hold.release()
  await rebooting.catch((error) => assert.match(String(error), /./))
  await cloud.call(stopVmInstance, { uuid })
  assert.equal(inventoryOf(await cloud.call(startVmInstance, { uuid })).state, 'Running')
  assert.equal(simulatedHost(cloud).state.vms.get(uuid)?.state, 'Running')
})

test('VMs that come and go while all of their host is set up anew: who went has no lease, who came has one', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const leases = () => [...(host.state.networks.get(dc.l3)?.leases.keys() ?? [])].sort()
  const hold = host.knobs.hold('applyFlatNetwork')
  const reconnecting = cloud.call(reconnectHost, { uuid: String(dc.hosts[0]) })
  await hold.waiting
  const destroyed = cloud.call(destroyVmInstance, { uuid: vm.uuid })
  await waitFor('the lease to be given back', () => leases().length === 0)
  await destroyed
  const come = await createVm(cloud, dc, { name: 'come' })
  hold.release()
  await reconnecting
  const macs = come.vmNics.map((nic: { mac: string }) => nic.mac)
  await waitFor('the leases to be those of the VM that is there', () => isDeepStrictEqual(leases(), macs))
})
