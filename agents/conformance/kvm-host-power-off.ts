import assert from 'node:assert/strict'
import { it } from 'node:test'
import { listVms } from '#agents/kvm-host/contract/host.ts'
import {
  destroyVm,
  rebootVm,
  resumeVm,
  startVm,
  stopVm,
  type VmSpec,
  vmInfo,
} from '#agents/kvm-host/contract/vm.ts'
import type { GetKvmHost } from './kvm-host-fixture.ts'
import type { GetVm } from './kvm-host-vm.ts'

const graceMs = 120_000

/** Reboot and every way to end: the VM runs at the beginning and is gone at the end. */
export function declarePowerOffTests(getHost: GetKvmHost, getVm: GetVm): void {
  it('reboots with the description given', async () => {
    const { client, guestReady } = getHost()
    const { vm, events } = getVm()
    const { vmUuid } = vm
    await guestReady(vmUuid)
    const changed: VmSpec = {
      ...vm,
      cpuNum: 2,
      disks: vm.disks.map((disk) => ({ ...disk, cacheMode: 'writethrough' })),
    }
    assert.deepEqual(await client.call(rebootVm, { vm: changed, graceMs }), { state: 'Running' })
    await events.vmState(vmUuid, 'Stopped', true)
    await events.vmState(vmUuid, 'Running', true)
    const info = await client.call(vmInfo, { vmUuid })
    assert.equal(info.cpuNum, 2)
    assert.equal(info.disks[0]?.cacheMode, 'writethrough')
  })

  it('powers off when asked to, again without harm', async () => {
    const { client, guestReady } = getHost()
    const { vm, events } = getVm()
    const { vmUuid } = vm
    await guestReady(vmUuid)
    assert.deepEqual(await client.call(stopVm, { vmUuid, graceMs }), { state: 'Stopped', forced: false })
    await events.vmState(vmUuid, 'Stopped', true)
    assert.deepEqual(await client.call(stopVm, { vmUuid, graceMs }), { state: 'Stopped', forced: false })
    assert.deepEqual((await client.call(listVms, {})).vms, [])
  })

  it('starts when a stopped VM is rebooted, and loses its power without grace', async () => {
    const { client } = getHost()
    const { vm, events } = getVm()
    const { vmUuid } = vm
    assert.deepEqual(await client.call(rebootVm, { vm, graceMs: 0 }), { state: 'Running' })
    await events.vmState(vmUuid, 'Running', true)
    assert.deepEqual(await client.call(stopVm, { vmUuid, graceMs: 0 }), { state: 'Stopped', forced: true })
    await events.vmState(vmUuid, 'Stopped', true)
  })

  it('starts paused when told to, and is destroyed without a trace', async () => {
    const { client } = getHost()
    const { vm, events } = getVm()
    const { vmUuid } = vm
    assert.deepEqual(await client.call(startVm, { vm, paused: true }), { state: 'Paused' })
    assert.deepEqual((await client.call(listVms, {})).vms, [{ vmUuid, state: 'Paused' }])
    assert.deepEqual(await client.call(resumeVm, { vmUuid }), { state: 'Running' })
    assert.deepEqual(await client.call(destroyVm, { vmUuid }), { state: 'Stopped' })
    await events.vmState(vmUuid, 'Stopped', true)
    assert.deepEqual(await client.call(destroyVm, { vmUuid }), { state: 'Stopped' })
    assert.equal((await client.call(vmInfo, { vmUuid })).state, 'Stopped')
    assert.deepEqual((await client.call(listVms, {})).vms, [])
  })
}
