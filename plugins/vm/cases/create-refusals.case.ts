import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { changeImageState } from '#plugins/image/contract/apis.ts'
import { changeL3NetworkState } from '#plugins/l3-network/contract/apis.ts'
import { changeDiskOfferingState } from '#plugins/offering/contract/disk-offering-apis.ts'
import { changeInstanceOfferingState } from '#plugins/offering/contract/instance-offering-apis.ts'
import { createZone } from '#plugins/zone/contract/apis.ts'
import { addIso, assertRefused, inventoryOf, startCloud } from '#testkit'
import { createVmInstance, queryVmInstance } from '../contract/create-apis.ts'

const MiB = 2 ** 20
const GiB = 2 ** 30
const invalid = 'SYS.1007'

test('missing, malformed and unknown members of a creation are named, and nothing is made', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const good = { name: 'a', imageUuid: dc.image, cpuNum: 1, memorySize: 128 * MiB, zoneUuid: dc.zone }
  const nowhere = newUuid()
  const wrong: [object, string, RegExp, string?][] = [
    [{ name: undefined }, 'name', /mandatory/],
    [{ name: 'x'.repeat(256) }, 'name', /at most 255/],
    [{ name: ['x'] }, 'name', /must be a string, got a list/],
    [{ cpuNum: 'many' }, 'cpuNum', /whole number/],
    [{ cpuNum: 1.5 }, 'cpuNum', /whole number/],
    [{ cpuNum: 0 }, 'cpuNum', /at least one CPU/],
    [{ cpuNum: 100_000 }, 'cpuNum', /1024/],
    [{ memorySize: 1024 }, 'memorySize', /16 MiB/],
    [{ memorySize: undefined }, 'instanceOfferingUuid', /cpuNum and memorySize/],
    [{ imageUuid: undefined }, 'imageUuid', /image/],
    [{ imageUuid: nowhere }, 'imageUuid', /Image that does not exist/, 'SYS.1003'],
    [{ l3NetworkUuids: [nowhere] }, 'l3NetworkUuids', /L3Network that does not exist/, 'SYS.1003'],
    [{ l3NetworkUuids: [dc.l3, dc.l3] }, 'l3NetworkUuids', /named twice/],
    [{ l3NetworkUuids: dc.l3 }, 'l3NetworkUuids', /must be a list/],
    [{ hostUuid: nowhere }, 'hostUuid', /Host that does not exist/, 'SYS.1003'],
    [{ zoneUuid: undefined }, 'zoneUuid', /where the VM goes/],
    [{ strategy: 'Sometime' }, 'strategy', /InstantStart, JustCreate, CreateStopped/],
    [{ platform: 'BeOS' }, 'platform', /one of \[Linux/],
    [{ rootDiskSize: -1 }, 'rootDiskSize', /-1/],
    [{ dataDiskSizes: [GiB, 0] }, 'dataDiskSizes', /0 bytes/],
    [{ dataDiskSizes: Array(25).fill(GiB) }, 'dataDiskSizes', /25 .*at most 24|at most 24/],
    [{ defaultL3NetworkUuid: dc.l3 }, 'defaultL3NetworkUuid', /not among l3NetworkUuids/],
    [{ resourceUuid: 'mine' }, 'resourceUuid', /uuid without dashes/],
    [{ systemTags: ['hostnam::x'] }, 'systemTags', /no system tag of VmInstanceVO.*hostname::\{hostname\}/],
    [{ systemTags: ['hostname::-x'] }, 'systemTags', /no host name/],
    [{ systemTags: ['userdata::*'] }, 'systemTags', /base64/],
    [{ systemTags: ['sshkey::secret'] }, 'systemTags', /public key/],
    [{ systemTags: ['bootOrder::Floppy'] }, 'systemTags', /HardDisk, CdRom, Network/],
    [{ systemTags: ['consolePassword::123456789'] }, 'systemTags', /8 characters/],
    [{ systemTags: [`staticIp::${dc.l3}::10.99.0.9`] }, 'systemTags', /not among l3NetworkUuids/],
  ]
  for (const [change, field, says, code] of wrong)
    await assertRefused(
      cloud,
      createVmInstance,
      { ...good, ...change },
      { code: code ?? invalid, field, says },
    )
})

test('what is disabled is not used for new VMs', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const good = { name: 'a', imageUuid: dc.image, cpuNum: 1, memorySize: 128 * MiB, zoneUuid: dc.zone }
  const refuse = (change: object, field: string | undefined, says: RegExp, code = invalid) =>
    assertRefused(
      cloud,
      createVmInstance,
      { ...good, ...change },
      { code, says, ...(field === undefined ? {} : { field }) },
    )
  const off = { stateEvent: 'disable' as const }
  await cloud.call(changeInstanceOfferingState, { uuid: dc.instanceOffering, ...off })
  await refuse({ instanceOfferingUuid: dc.instanceOffering }, 'instanceOfferingUuid', /tiny is Disabled/)
  await cloud.call(changeDiskOfferingState, { uuid: dc.diskOffering, ...off })
  await refuse({ rootDiskOfferingUuid: dc.diskOffering }, 'rootDiskOfferingUuid', /disk is Disabled/)
  await refuse({ dataDiskOfferingUuids: [dc.diskOffering] }, 'dataDiskOfferingUuids', /disk is Disabled/)
  await cloud.call(changeL3NetworkState, { uuid: dc.l3, ...off })
  await refuse({ l3NetworkUuids: [dc.l3] }, 'l3NetworkUuids', /l3 is Disabled/)
  await cloud.call(changeImageState, { uuid: dc.image, ...off })
  const { code } = await cloud.call(createVmInstance, good).catch((error) => error)
  assert.notEqual(code, 'SYS.1000')
  await refuse({}, undefined, /Disabled/, code)
})

test('places that do not fit together are refused with the reason', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const other = inventoryOf(await cloud.call(createZone, { name: 'other' })).uuid
  const good = { name: 'a', imageUuid: dc.image, cpuNum: 1, memorySize: 128 * MiB, zoneUuid: other }
  for (const [wish, field] of [
    [{ hostUuid: dc.hosts[0] }, 'hostUuid'],
    [{ clusterUuid: dc.cluster }, 'clusterUuid'],
    [{ l3NetworkUuids: [dc.l3] }, 'l3NetworkUuids'],
  ] as const)
    await assertRefused(cloud, createVmInstance, { ...good, ...wish }, { code: invalid, field, says: /zone/ })
})

test('the same uuid twice is refused, also at the same time, and the first VM is left alone', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const resourceUuid = newUuid()
  const input = { name: 'a', imageUuid: dc.image, instanceOfferingUuid: dc.instanceOffering, resourceUuid }
  const good = { ...input, l3NetworkUuids: [dc.l3] }
  const [one, two] = await Promise.allSettled([
    cloud.call(createVmInstance, good),
    cloud.call(createVmInstance, { ...good, name: 'b' }),
  ])
  assert.deepEqual([one?.status, two?.status].sort(), ['fulfilled', 'rejected'])
  const taken = { code: invalid, field: 'resourceUuid', says: /exists already/ }
  await assertRefused(cloud, createVmInstance, { ...good, name: 'c' }, taken)
  const vms = await cloud.query(queryVmInstance)
  assert.deepEqual(
    vms.map((vm) => [vm.uuid, vm.state]),
    [[resourceUuid, 'Running']],
  )
})

test('a VM from an ISO needs the size of its disk', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const imageUuid = await addIso(cloud, dc.backupStorage)
  const good = { name: 'a', imageUuid, cpuNum: 1, memorySize: 128 * MiB, zoneUuid: dc.zone }
  const missing = {
    code: invalid,
    field: 'rootDiskOfferingUuid',
    says: /rootDiskOfferingUuid or rootDiskSize/,
  }
  await assertRefused(cloud, createVmInstance, good, missing)
  const zero = { code: invalid, field: 'rootDiskSize', says: /0/ }
  await assertRefused(cloud, createVmInstance, { ...good, rootDiskSize: 0 }, zero)
})

test('a static address that is outside, taken or malformed is refused before anything is kept', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const input = { name: 'a', imageUuid: dc.image, instanceOfferingUuid: dc.instanceOffering }
  const good = { ...input, l3NetworkUuids: [dc.l3] }
  const withIp = (ip: string) => ({ ...good, systemTags: [`staticIp::${dc.l3}::${ip}`] })
  await cloud.call(createVmInstance, withIp('10.99.1.1'))
  for (const ip of ['10.99.1.1', '192.168.0.1', '10.99.0.1', 'ten']) {
    await assert.rejects(
      cloud.call(createVmInstance, withIp(ip)),
      (error: { code: string; message: string }) => {
        assert.notEqual(error.code, 'SYS.1000', error.message)
        return error.message.includes(ip)
      },
    )
  }
  assert.equal((await cloud.query(queryVmInstance)).length, 1)
})
