import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { createL3Network } from '#plugins/l3-network/contract/apis.ts'
import { createSystemTag, deleteTag, updateSystemTag } from '#plugins/tag/contract/apis.ts'
import { assertRefused, inventoryOf } from '#testkit'
import { updateVmInstance } from '../contract/create-apis.ts'
import { rebootVmInstance, startVmInstance, stopVmInstance } from '../contract/power-apis.ts'
import { startCloudWithVm } from './vm-scene.ts'

const MiB = 2 ** 20

test('name and description change at any time; what is not given stays', async (t) => {
  const { cloud, vm } = await startCloudWithVm(t)
  const { uuid } = vm
  const named = inventoryOf(await cloud.call(updateVmInstance, { uuid, name: 'shop' }))
  const described = inventoryOf(
    await cloud.call(updateVmInstance, { uuid, description: 'sells', guestOsType: 'Debian' }),
  )
  assert.deepEqual([named.name, described.name, described.description], ['shop', 'shop', 'sells'])
  assert.deepEqual(
    [described.guestOsType, described.state, described.memorySize],
    ['Debian', 'Running', vm.memorySize],
  )
  assert.ok(described.lastOpDate >= vm.lastOpDate)
})

test('CPUs and memory change only while the VM is off, and count at its next start', async (t) => {
  const { cloud, vm, host } = await startCloudWithVm(t)
  const size = { uuid: vm.uuid, cpuNum: 4, memorySize: 512 * MiB }
  const running = {
    code: 'VM.1010',
    says: /is Running; it can be given other CPUs or memory only when Stopped/,
  }
  await assertRefused(cloud, updateVmInstance, size, running)
  await cloud.call(stopVmInstance, { uuid: vm.uuid })
  await cloud.call(updateVmInstance, size)
  await cloud.call(startVmInstance, { uuid: vm.uuid })
  const spec = host.state.vms.get(vm.uuid)?.spec
  assert.deepEqual([spec?.cpuNum, spec?.memoryBytes, host.state.usedMemoryBytes], [4, 512 * MiB, 512 * MiB])
})

test('impossible changes are refused, the field named', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t)
  const { uuid } = vm
  await cloud.call(stopVmInstance, { uuid })
  const otherNetwork = inventoryOf(
    await cloud.call(createL3Network, { name: 'other', l2NetworkUuid: dc.l2 } as never),
  ).uuid
  const wrong: [object, string, RegExp, string?][] = [
    [{ name: 'x'.repeat(300) }, 'name', /at most 255/],
    [{ cpuNum: 0 }, 'cpuNum', /between 1 and 1024/],
    [{ memorySize: 5 }, 'memorySize', /16 MiB/],
    [{ memorySize: 'much' }, 'memorySize', /whole number/],
    [{ platform: 'BeOS' }, 'platform', /one of/],
    [{ defaultL3NetworkUuid: newUuid() }, 'defaultL3NetworkUuid', /not exist/, 'SYS.1003'],
    [{ defaultL3NetworkUuid: otherNetwork }, 'defaultL3NetworkUuid', /no NIC on/],
  ]
  for (const [change, field, says, code = 'SYS.1007'] of wrong)
    await assertRefused(cloud, updateVmInstance, { uuid, ...change }, { code, field, says })
})

test('tags put on a VM later count at its next start', async (t) => {
  const { cloud, dc, vm, host } = await startCloudWithVm(t)
  const { uuid } = vm
  const tag = { resourceType: 'VmInstanceVO', resourceUuid: uuid }
  const put = async (text: string) =>
    inventoryOf(await cloud.call(createSystemTag, { ...tag, tag: text })).uuid
  const hostname = await put('hostname::first')
  await put('consolePassword::secret')
  await put('bootOrder::CdRom,HardDisk')
  await cloud.call(rebootVmInstance, { uuid })
  const domain = () => host.state.vms.get(uuid)
  assert.deepEqual([domain()?.spec.bootOrder, domain()?.spec.consolePassword], [['cdrom', 'hd'], 'secret'])
  await cloud.call(updateSystemTag, { uuid: hostname, tag: 'hostname::second' })
  const lease = () => [...(host.state.networks.get(dc.l3)?.leases.values() ?? [])][0]
  const restart = async () => {
    await cloud.call(stopVmInstance, { uuid })
    await cloud.call(startVmInstance, { uuid })
  }
  await restart()
  assert.equal(lease()?.hostname, 'second')
  await cloud.call(deleteTag, { uuid: hostname })
  await restart()
  assert.notEqual(lease()?.hostname, 'second')
})

test('a Windows VM gets devices it has drivers for', async (t) => {
  const { vm, host } = await startCloudWithVm(t, {}, { platform: 'Windows' })
  const domain = host.state.vms.get(vm.uuid)
  assert.deepEqual([domain?.disks[0]?.bus, domain?.nics[0]?.model, vm.platform], ['ide', 'e1000', 'Windows'])
})
