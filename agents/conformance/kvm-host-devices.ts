import assert from 'node:assert/strict'
import { it } from 'node:test'
import { statVolume } from '#agents/kvm-host/contract/storage.ts'
import { attachNic, attachVolume, detachNic, detachVolume, vmInfo } from '#agents/kvm-host/contract/vm.ts'
import { newUuid } from '#kernel'
import { diskOf, type GetKvmHost, nicOf, refused, volumePathOf } from './kvm-host-fixture.ts'
import type { GetVm } from './kvm-host-vm.ts'

/** Hot-plug into the VM that runs. */
export function declareDeviceTests(getHost: GetKvmHost, getVm: GetVm): void {
  declareDiskTests(getHost, getVm)
  declareNicTests(getHost, getVm)
}

function declareDiskTests(getHost: GetKvmHost, getVm: GetVm): void {
  it('takes a disk and lets it go, again without harm', async () => {
    const { client, guestReady } = getHost()
    const { vm, dataPath } = getVm()
    const { vmUuid } = vm
    await guestReady(vmUuid)
    const disk = diskOf(dataPath, 1, 'writeback')
    const pluggedIn = async () => (await client.call(vmInfo, { vmUuid })).disks.slice(1)

    assert.deepEqual(await client.call(attachVolume, { vmUuid, disk }), {})
    const expected = [{ path: dataPath, target: 'vdb', cacheMode: 'writeback' }]
    assert.deepEqual(await pluggedIn(), expected)
    assert.deepEqual(await client.call(attachVolume, { vmUuid, disk }), {})
    assert.deepEqual(await pluggedIn(), expected)

    assert.deepEqual(await client.call(detachVolume, { vmUuid, installPath: dataPath }), {})
    assert.deepEqual(await pluggedIn(), [])
    assert.deepEqual(await client.call(detachVolume, { vmUuid, installPath: dataPath }), {})
    assert.equal((await client.call(statVolume, { path: dataPath })).exists, true)
  })

  it('refuses a disk that is not there', async () => {
    const { client } = getHost()
    const { vmUuid } = getVm().vm
    const disk = diskOf(volumePathOf(getHost(), newUuid()), 1, 'none')
    await refused('plugging in no file', client.call(attachVolume, { vmUuid, disk }))
    assert.equal((await client.call(vmInfo, { vmUuid })).disks.length, 1)
  })
}

function declareNicTests(getHost: GetKvmHost, getVm: GetVm): void {
  it('takes a NIC and lets it go, again without harm', async () => {
    const { client, guestReady } = getHost()
    const { vmUuid } = getVm().vm
    await guestReady(vmUuid)
    const nic = nicOf(1)
    const { mac, deviceName, bridge } = nic
    const pluggedIn = async () => (await client.call(vmInfo, { vmUuid })).nics.slice(1)

    assert.deepEqual(await client.call(attachNic, { vmUuid, nic }), {})
    assert.deepEqual(await pluggedIn(), [{ mac, deviceName, bridge }])
    assert.deepEqual(await client.call(attachNic, { vmUuid, nic }), {})
    assert.deepEqual(await pluggedIn(), [{ mac, deviceName, bridge }])

    assert.deepEqual(await client.call(detachNic, { vmUuid, mac }), {})
    assert.deepEqual(await pluggedIn(), [])
    assert.deepEqual(await client.call(detachNic, { vmUuid, mac }), {})
  })

  it('refuses a NIC on a bridge that is not there', async () => {
    const { client } = getHost()
    const { vmUuid } = getVm().vm
    const nic = { ...nicOf(1), bridge: 'br_zsnone' }
    await refused('a NIC on no bridge', client.call(attachNic, { vmUuid, nic }))
    assert.equal((await client.call(vmInfo, { vmUuid })).nics.length, 1)
  })
}
