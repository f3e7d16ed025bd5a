import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudError, newUuid, sysErrors } from '#kernel'
import { updateGlobalConfig } from '#plugins/global-config/contract/apis.ts'
import { createVm, startCloudWithVm, type VmScene } from '#plugins/vm/cases/vm-scene.ts'
import { destroyVmInstance, expungeVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { pauseVmInstance, startVmInstance, stopVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { assertRefused, audit, inventoryOf, simulatedHost } from '#testkit'
import { changeVolumeState, createDataVolume, queryVolume } from '../contract/apis.ts'
import {
  attachDataVolumeToVm,
  detachDataVolumeFromVm,
  getDataVolumeAttachableVm,
} from '../contract/attachment-apis.ts'
import { deleteDataVolume } from '../contract/deletion-apis.ts'

const GiB = 2 ** 30
const volumeOn = async ({ cloud, dc }: VmScene, host: string | undefined, name = 'data') => {
  const tag = { systemTags: [`localStorage::hostUuid::${host}`], primaryStorageUuid: dc.primaryStorage }
  const place = host === undefined ? {} : tag
  return inventoryOf(await cloud.call(createDataVolume, { name, diskSize: GiB, ...place }))
}
const disksOf = ({ host, vm }: VmScene) => host.state.vms.get(vm.uuid)?.disks.map((d) => d.installPath) ?? []
const attach = async ({ cloud }: VmScene, volumeUuid: string, vmInstanceUuid: string) =>
  inventoryOf(await cloud.call(attachDataVolumeToVm, { volumeUuid, vmInstanceUuid }))

test('a volume without a file gets one where the VM runs, and is plugged; detached, it keeps its content', async (t) => {
  const scene = await startCloudWithVm(t)
  const { cloud, vm, dc, host } = scene
  const volume = await volumeOn(scene, undefined)
  const shown = await attach(scene, volume.uuid, vm.uuid)
  assert.deepEqual(
    [shown.status, shown.vmInstanceUuid, shown.deviceId, shown.primaryStorageUuid],
    ['Ready', vm.uuid, 1, dc.primaryStorage],
  )
  assert.deepEqual(disksOf(scene), [vm.allVolumes[0].installPath, shown.installPath])
  const detached = inventoryOf(await cloud.call(detachDataVolumeFromVm, { uuid: volume.uuid }))
  assert.deepEqual(
    [detached.vmInstanceUuid, detached.deviceId, detached.lastVmInstanceUuid, detached.status],
    [undefined, undefined, vm.uuid, 'Ready'],
  )
  assert.deepEqual(disksOf(scene), [vm.allVolumes[0].installPath])
  assert.ok(host.state.files.get(shown.installPath))
  assert.equal((await attach(scene, volume.uuid, vm.uuid)).installPath, shown.installPath)
})

test('a volume attached or detached while the VM is off is so at its next start', async (t) => {
  const scene = await startCloudWithVm(t)
  const { cloud, vm } = scene
  const { uuid } = vm
  const stop = () => cloud.call(stopVmInstance, { uuid })
  const start = () => cloud.call(startVmInstance, { uuid })
  await stop()
  const volume = await attach(scene, (await volumeOn(scene, undefined)).uuid, uuid)
  await start()
  assert.deepEqual(disksOf(scene), [vm.allVolumes[0].installPath, volume.installPath])
  await stop()
  await cloud.call(detachDataVolumeFromVm, { uuid: volume.uuid })
  await start()
  assert.deepEqual(disksOf(scene), [vm.allVolumes[0].installPath])
})

test('a volume on the local storage of another host is refused with the reason, and such VMs are no candidates', async (t) => {
  const scene = await startCloudWithVm(t, { hosts: 2 })
  const { cloud, dc, vm } = scene
  const far = await createVm(cloud, dc, { hostUuid: dc.hosts[1] })
  const volume = await volumeOn(scene, dc.hosts[1])
  await assertRefused(
    cloud,
    attachDataVolumeToVm,
    { volumeUuid: volume.uuid, vmInstanceUuid: vm.uuid },
    {
      code: 'VOLUME.1002',
      says: /cannot be attached to the VM web: its host .*local storage ps of another host/,
    },
  )
  const candidates = async (volumeUuid: string) =>
    (await cloud.call(getDataVolumeAttachableVm, { volumeUuid })).inventories?.map((v) => v.uuid)
  assert.deepEqual(await candidates(volume.uuid), [far.uuid])
  const anywhere = await volumeOn(scene, undefined)
  assert.deepEqual((await candidates(anywhere.uuid))?.sort(), [vm.uuid, far.uuid].sort())
  await attach(scene, volume.uuid, far.uuid)
  assert.deepEqual(await candidates(volume.uuid), [], 'it is attached')
  assert.deepEqual(await candidates(far.rootVolumeUuid), [], 'a root volume goes nowhere')
})

test('what cannot be attached or detached is refused with the reason', async (t) => {
  const scene = await startCloudWithVm(t)
  const { cloud, dc, vm } = scene
  const volume = await volumeOn(scene, undefined)
  const good = { volumeUuid: volume.uuid, vmInstanceUuid: vm.uuid }
  const refuse = (change: object, code: string, says: RegExp) =>
    assertRefused(cloud, attachDataVolumeToVm, { ...good, ...change }, { code, says })
  await refuse({ volumeUuid: vm.rootVolumeUuid }, 'SYS.1007', /is the root volume of the VM/)
  await assertRefused(
    cloud,
    attachDataVolumeToVm,
    { ...good, vmInstanceUuid: newUuid() },
    {
      code: 'SYS.1003',
      field: 'vmInstanceUuid',
      says: /not exist/,
    },
  )
  await cloud.call(changeVolumeState, { uuid: volume.uuid, stateEvent: 'disable' })
  await refuse({}, 'VOLUME.1002', /is Disabled; enable it first/)
  await cloud.call(changeVolumeState, { uuid: volume.uuid, stateEvent: 'enable' })
  await cloud.call(deleteDataVolume, { uuid: volume.uuid })
  await refuse({}, 'VOLUME.1002', /is Deleted; recover it first/)
  const loose = await volumeOn(scene, undefined, 'loose')
  const detach = { uuid: loose.uuid }
  await assertRefused(cloud, detachDataVolumeFromVm, detach, {
    code: 'VOLUME.1002',
    says: /attached to no VM/,
  })
  const root = { uuid: vm.rootVolumeUuid }
  await assertRefused(cloud, detachDataVolumeFromVm, root, { code: 'SYS.1007', says: /is the root volume/ })
  await assertRefused(cloud, deleteDataVolume, root, { code: 'SYS.1007', says: /is the root volume/ })
  await attach(scene, loose.uuid, vm.uuid)
  await refuse({ volumeUuid: loose.uuid }, 'VOLUME.1000', /is attached to the VM .* already/)
  await assertRefused(cloud, deleteDataVolume, detach, { code: 'VOLUME.1000', says: /detach it first/ })
  const other = await createVm(cloud, dc)
  const wrongVm = { ...detach, vmUuid: other.uuid }
  await assertRefused(cloud, detachDataVolumeFromVm, wrongVm, {
    code: 'SYS.1007',
    field: 'vmUuid',
    says: /web/,
  })
  await cloud.call(pauseVmInstance, { uuid: vm.uuid })
  await assertRefused(cloud, detachDataVolumeFromVm, detach, { code: 'VM.1010', says: /is Paused/ })
})

test('a VM takes as many data volumes as is configured', async (t) => {
  const scene = await startCloudWithVm(t, {}, { dataDiskSizes: [GiB] })
  const { cloud, vm } = scene
  await cloud.call(updateGlobalConfig, { category: 'kvm', name: 'dataVolume.maxNum', value: '2' })
  await attach(scene, (await volumeOn(scene, undefined)).uuid, vm.uuid)
  const third = { volumeUuid: (await volumeOn(scene, undefined)).uuid, vmInstanceUuid: vm.uuid }
  const full = { code: 'VOLUME.1002', says: /has 2 data volumes, the most it may have/ }
  await assertRefused(cloud, attachDataVolumeToVm, third, full)
})

test('a guest that does not take or let go of a disk leaves everything as it was', async (t) => {
  const scene = await startCloudWithVm(t)
  const { cloud, vm, host } = scene
  const { uuid } = await volumeOn(scene, undefined)
  host.knobs.failNext('attachVolume', 'no slot')
  await assert.rejects(attach(scene, uuid, vm.uuid), /no slot/)
  const loose = (await cloud.query(queryVolume)).find((v) => v.uuid === uuid)
  assert.deepEqual(
    [loose?.status, loose?.vmInstanceUuid, loose?.deviceId],
    ['NotInstantiated', undefined, undefined],
  )
  const paths = host.state.files.list('/zstack_ps').filter((f) => f.path.includes('dataVolumes'))
  assert.deepEqual(paths, [])
  await attach(scene, uuid, vm.uuid)
  host.knobs.failNext('detachVolume', 'guest holds on')
  await assert.rejects(cloud.call(detachDataVolumeFromVm, { uuid }), /holds on/)
  const kept = (await cloud.query(queryVolume)).find((v) => v.uuid === uuid)
  assert.deepEqual([kept?.vmInstanceUuid, kept?.deviceId, disksOf(scene).length], [vm.uuid, 1, 2])
})

test('one volume attached to two VMs at the same time ends on one of them, whole', async (t) => {
  const scene = await startCloudWithVm(t, { hosts: 2 })
  const { cloud, dc, vm } = scene
  const far = await createVm(cloud, dc, { hostUuid: dc.hosts[1] })
  const { uuid } = await volumeOn(scene, undefined)
  const tries = await Promise.allSettled([attach(scene, uuid, vm.uuid), attach(scene, uuid, far.uuid)])
  assert.deepEqual(tries.map((r) => r.status).sort(), ['fulfilled', 'rejected'])
  const shown = (await cloud.query(queryVolume)).find((v) => v.uuid === uuid)
  const machines = [0, 1].map((i) => simulatedHost(cloud, i).state)
  const plugged = machines.flatMap((m) => [...m.vms.values()]).filter((d) => d.disks.length === 2)
  assert.deepEqual(
    plugged.map((d) => d.spec.vmUuid),
    [shown?.vmInstanceUuid],
  )
  const copies = machines.filter((m) => m.files.get(String(shown?.installPath)) !== undefined)
  assert.equal(copies.length, 1)
})

test('a volume that is being attached cannot be deleted under the way', async (t) => {
  const scene = await startCloudWithVm(t)
  const { cloud, vm, host } = scene
  const { uuid } = await volumeOn(scene, undefined)
  const hold = host.knobs.hold('attachVolume')
  const attaching = attach(scene, uuid, vm.uuid)
  await hold.waiting
  const deleting = cloud.call(deleteDataVolume, { uuid })
  hold.release()
  await attaching
  await assert.rejects(deleting, { code: 'VOLUME.1000' })
  assert.equal(disksOf(scene).length, 2)
})

test('many volumes attached at the same time get device numbers of their own', async (t) => {
  const scene = await startCloudWithVm(t)
  const volumes = await Promise.all(Array.from({ length: 10 }, (_, i) => volumeOn(scene, undefined, `v${i}`)))
  const shown = await Promise.all(volumes.map((v) => attach(scene, v.uuid, scene.vm.uuid)))
  assert.deepEqual(
    shown.map((v) => v.deviceId).sort((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  )
  await scene.cloud.call(destroyVmInstance, { uuid: scene.vm.uuid })
})

for (const [what, removeVm] of [
  ['was let go by another call', false],
  ['went with its VM', true],
] as const)
  test(`a detach that could not be undone is over when the volume ${what}`, async (t) => {
    const scene = await startCloudWithVm(t)
    const { cloud, vm, host } = scene
    const { uuid } = await attach(scene, (await volumeOn(scene, undefined)).uuid, vm.uuid)
    host.knobs.failAlways('*', new CloudError(sysErrors.ioError, 'the agent is away'))
    await assert.rejects(cloud.call(detachDataVolumeFromVm, { uuid }), /the agent is away/)
    host.knobs.clear()
    if (removeVm) {
      await cloud.call(destroyVmInstance, { uuid: vm.uuid })
      await cloud.call(expungeVmInstance, { uuid: vm.uuid })
    } else await cloud.call(detachDataVolumeFromVm, { uuid })
    assert.deepEqual(await cloud.cloud.context.workflows.retryStuck(), [])
    const [left] = await cloud.query(queryVolume, { conditions: [{ name: 'uuid', op: '=', value: uuid }] })
    assert.equal(left?.vmInstanceUuid, undefined)
    assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
  })
