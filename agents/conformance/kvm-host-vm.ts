import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { listVms } from '#agents/kvm-host/contract/host.ts'
import { createBridge, deleteBridge } from '#agents/kvm-host/contract/network.ts'
import {
  cacheImage,
  createEmptyVolume,
  createVolumeFromCache,
  deletePath,
  initStorage,
} from '#agents/kvm-host/contract/storage.ts'
import {
  attachNic,
  attachVolume,
  consoleInfo,
  destroyVm,
  detachNic,
  detachVolume,
  pauseVm,
  resumeVm,
  startVm,
  stopVm,
  type VmSpec,
  vmInfo,
} from '#agents/kvm-host/contract/vm.ts'
import { newUuid, sysErrors } from '#kernel'
import { declareDeviceTests } from './kvm-host-devices.ts'
import {
  cacheInputOf,
  cachePathOf,
  conformanceBridge,
  conformanceStorageUuid,
  diskOf,
  type GetKvmHost,
  type KvmHostFixture,
  nicOf,
  recordEvents,
  refused,
  testTimeout,
  vmOf,
  volumePathOf,
} from './kvm-host-fixture.ts'
import { declareMigrationTests } from './kvm-host-migration.ts'
import { declarePowerOffTests } from './kvm-host-power-off.ts'

/** One VM, its files and what was told about it; most tests use the same, because a real one takes long to boot. */
export interface VmUnderTest {
  readonly vm: VmSpec
  readonly events: ReturnType<typeof recordEvents>
  readonly cachePath: string
  /** An empty volume no VM uses. */
  readonly dataPath: string
}

export type GetVm = () => VmUnderTest

const MiB = 2 ** 20

export function declareVmTests(getHost: GetKvmHost): void {
  describe('VM', testTimeout, () => {
    let made: VmUnderTest | undefined
    const getVm = () => {
      if (made === undefined) throw new Error('the files of the VM were not made')
      return made
    }
    before(async () => {
      made = await makeFiles(getHost())
    })
    after(async () => {
      if (made !== undefined) await removeAll(getHost(), made)
    })
    declareAbsentTests(getHost)
    declareRefusalTests(getHost, getVm)
    declareStartTests(getHost, getVm)
    declareMigrationTests(getHost, getVm)
    declareDeviceTests(getHost, getVm)
    declarePowerOffTests(getHost, getVm)
  })
}

async function makeFiles(host: KvmHostFixture): Promise<VmUnderTest> {
  const { client, physicalInterface, storageRoot: root } = host
  await client.call(initStorage, { root, storageUuid: conformanceStorageUuid })
  const cachePath = cachePathOf(host, newUuid())
  await client.call(cacheImage, cacheInputOf(host, cachePath))
  const [rootPath, dataPath] = [volumePathOf(host, newUuid()), volumePathOf(host, newUuid())]
  const overlay = { cachePath, cacheFormat: host.image.format, installPath: rootPath }
  await client.call(createVolumeFromCache, overlay)
  await client.call(createEmptyVolume, { installPath: dataPath, sizeBytes: 64 * MiB })
  const l2 = { bridge: conformanceBridge, physicalInterface, l2NetworkUuid: newUuid() }
  await client.call(createBridge, l2)
  const vm = vmOf(host, { disks: [diskOf(rootPath, 0, 'none')], nics: [nicOf(0)] })
  return { vm, events: recordEvents(host), cachePath, dataPath }
}

async function removeAll(
  host: KvmHostFixture,
  { vm, events, cachePath, dataPath }: VmUnderTest,
): Promise<void> {
  const { client, physicalInterface } = host
  await events.dispose()
  await client.call(destroyVm, { vmUuid: vm.vmUuid })
  for (const path of [dataPath, ...vm.disks.map((disk) => disk.installPath), cachePath]) {
    await client.call(deletePath, { path })
  }
  await client.call(deleteBridge, { bridge: conformanceBridge, physicalInterface })
}

function declareAbsentTests(getHost: GetKvmHost): void {
  it('is Stopped and has nothing when there is none', async () => {
    const { client } = getHost()
    const vmUuid = newUuid()
    const nothing = { state: 'Stopped', disks: [], nics: [], cpuNum: 0, memoryBytes: 0 }
    assert.deepEqual(await client.call(vmInfo, { vmUuid }), nothing)
    assert.deepEqual(await client.call(stopVm, { vmUuid, graceMs: 0 }), { state: 'Stopped', forced: false })
    assert.deepEqual(await client.call(destroyVm, { vmUuid }), { state: 'Stopped' })
    assert.deepEqual(await client.call(detachVolume, { vmUuid, installPath: '/none.qcow2' }), {})
    assert.deepEqual(await client.call(detachNic, { vmUuid, mac: nicOf(1).mac }), {})
  })

  it('refuses what only a running VM can do', async () => {
    const { client } = getHost()
    const vmUuid = newUuid()
    const disk = diskOf(volumePathOf(getHost(), newUuid()), 1, 'none')
    const code = sysErrors.resourceNotFound.code
    await refused('pausing none', client.call(pauseVm, { vmUuid }), code)
    await refused('resuming none', client.call(resumeVm, { vmUuid }), code)
    await refused('the console of none', client.call(consoleInfo, { vmUuid }), code)
    await refused('plugging a disk into none', client.call(attachVolume, { vmUuid, disk }), code)
    await refused('plugging a NIC into none', client.call(attachNic, { vmUuid, nic: nicOf(1) }), code)
  })
}

function declareRefusalTests(getHost: GetKvmHost, getVm: GetVm): void {
  it('does not start without its disk or its bridge, and leaves no trace', async () => {
    const { client } = getHost()
    const { disks, nics } = getVm().vm
    const missingDisk = diskOf(volumePathOf(getHost(), newUuid()), 0, 'none')
    const missingBridge = { ...nicOf(0), bridge: 'br_zsnone' }
    const wrong = {
      disk: vmOf(getHost(), { disks: [missingDisk], nics }),
      bridge: vmOf(getHost(), { disks, nics: [missingBridge] }),
    }
    for (const [what, vm] of Object.entries(wrong)) {
      await refused(`starting without its ${what}`, client.call(startVm, { vm }))
      assert.equal((await client.call(vmInfo, { vmUuid: vm.vmUuid })).state, 'Stopped')
      const { vms } = await client.call(listVms, {})
      assert.ok(!vms.some((each) => each.vmUuid === vm.vmUuid), `a trace of a VM without its ${what}`)
    }
  })
}

function declareStartTests(getHost: GetKvmHost, getVm: GetVm): void {
  it('starts once, says so, and is what was described', async () => {
    const { client } = getHost()
    const { vm, events } = getVm()
    assert.deepEqual(await client.call(startVm, { vm }), { state: 'Running' })
    await events.vmState(vm.vmUuid, 'Running', true)
    // What runs is left alone, whatever the repeat says.
    assert.deepEqual(await client.call(startVm, { vm: { ...vm, cpuNum: 2 } }), { state: 'Running' })
    const { vms } = await client.call(listVms, {})
    assert.deepEqual(vms, [{ vmUuid: vm.vmUuid, state: 'Running' }])

    const info = await client.call(vmInfo, { vmUuid: vm.vmUuid })
    const { mac, deviceName, bridge } = nicOf(0)
    assert.equal(info.state, 'Running')
    assert.equal(info.cpuNum, vm.cpuNum)
    assert.equal(info.memoryBytes, vm.memoryBytes)
    assert.deepEqual(info.disks, [{ path: vm.disks[0]?.installPath, target: 'vda', cacheMode: 'none' }])
    assert.deepEqual(info.nics, [{ mac, deviceName, bridge }])
  })

  it('keeps its disk to itself', async () => {
    const { client } = getHost()
    const thief = vmOf(getHost(), { disks: getVm().vm.disks, nics: [] })
    await refused('starting on a disk in use', client.call(startVm, { vm: thief }))
    assert.equal((await client.call(vmInfo, { vmUuid: thief.vmUuid })).state, 'Stopped')
  })

  it('pauses and resumes, again without harm', async () => {
    const { client } = getHost()
    const { vm, events } = getVm()
    const { vmUuid } = vm
    assert.deepEqual(await client.call(pauseVm, { vmUuid }), { state: 'Paused' })
    await events.vmState(vmUuid, 'Paused', true)
    assert.deepEqual(await client.call(pauseVm, { vmUuid }), { state: 'Paused' })
    assert.equal((await client.call(vmInfo, { vmUuid })).state, 'Paused')
    assert.deepEqual(await client.call(resumeVm, { vmUuid }), { state: 'Running' })
    await events.vmState(vmUuid, 'Running', true)
    assert.deepEqual(await client.call(resumeVm, { vmUuid }), { state: 'Running' })
  })

  it('has a console', async () => {
    const { vmUuid } = getVm().vm
    assert.match((await getHost().client.call(consoleInfo, { vmUuid })).socketPath, /^\/.+/)
  })
}
