import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { AgentEvent } from '#agent-rpc'
import { hostCapacity, listVms } from '#agents/kvm-host/contract/host.ts'
import { applyFlatNetwork, deleteBridge, deleteFlatNetwork } from '#agents/kvm-host/contract/network.ts'
import {
  createEmptyVolume,
  deletePath,
  initStorage,
  listStorage,
  storageCapacity,
} from '#agents/kvm-host/contract/storage.ts'
import {
  attachNic,
  attachVolume,
  detachNic,
  detachVolume,
  pauseVm,
  resumeVm,
  startVm,
  stopVm,
} from '#agents/kvm-host/contract/vm.ts'
import {
  createReadyHost,
  createSmallWorld,
  nic,
  rootDisk,
  uuidOf,
  vmSpec,
  volumePath,
} from './small-world.ts'

const vmUuid = uuidOf(1)

async function runningVm() {
  const host = await createReadyHost(await createSmallWorld(), { now: () => 1_000 })
  await host.createVolume(1)
  await host.createVolume(2)
  await host.client.call(startVm, { vm: vmSpec(1) })
  const events: AgentEvent[] = []
  const subscription = host.subscribe((event) => events.push(event))
  return { ...host, events, subscription }
}

function stateEvent(state: string, reason: string, byAgent: boolean): AgentEvent {
  return { name: 'vm.state', atMs: 1_000, data: { vmUuid, state, reason, byAgent } }
}

it('a guest that powers itself off is told, not by the agent', async () => {
  const { knobs, client, events } = await runningVm()
  knobs.guestShutdown(vmUuid)
  assert.deepEqual(events, [stateEvent('Stopped', 'shutdown', false)])
  assert.deepEqual(await client.call(listVms, {}), { vms: [] })
})

it('a crashed VM stays visible, can do nothing, and can be started again', async () => {
  const { knobs, client, events, state } = await runningVm()
  knobs.crashVm(vmUuid)
  assert.deepEqual(events, [stateEvent('Crashed', 'crashed', false)])
  assert.deepEqual(await client.call(listVms, {}), { vms: [{ vmUuid, state: 'Crashed' }] })
  await assert.rejects(client.call(pauseVm, { vmUuid }), /it is Crashed/)
  assert.deepEqual(await client.call(startVm, { vm: vmSpec(1) }), { state: 'Running' })
  assert.equal(state.usedMemoryBytes, 2 ** 30)
})

it('events end with the subscription', async () => {
  const { knobs, events, subscription } = await runningVm()
  subscription.dispose()
  knobs.guestShutdown(vmUuid)
  assert.deepEqual(events, [])
})

it('power is cut when the guest ignores the button or is paused', async () => {
  const { knobs, client, events } = await runningVm()
  knobs.ignoreAcpi(vmUuid)
  assert.deepEqual(await client.call(stopVm, { vmUuid, graceMs: 1_000 }), { state: 'Stopped', forced: true })
  assert.deepEqual(events, [stateEvent('Stopped', 'destroyed', true)])
  await client.call(startVm, { vm: vmSpec(1), paused: true })
  assert.equal((await client.call(stopVm, { vmUuid, graceMs: 1_000 })).forced, true)
  await client.call(startVm, { vm: vmSpec(1) })
  assert.equal((await client.call(stopVm, { vmUuid, graceMs: 1_000 })).forced, false)
})

it('what changes nothing tells nothing', async () => {
  const { client, events } = await runningVm()
  await client.call(pauseVm, { vmUuid })
  await client.call(pauseVm, { vmUuid })
  assert.deepEqual(events, [stateEvent('Paused', 'user', true)])
})

it('memory in use follows the VMs', async () => {
  const { client } = await runningVm()
  assert.equal((await client.call(hostCapacity, {})).usedMemoryBytes, 2 ** 30)
  await client.call(stopVm, { vmUuid, graceMs: 0 })
  assert.equal((await client.call(hostCapacity, {})).usedMemoryBytes, 0)
})

it('refuses to start what cannot run here, and takes nothing', async () => {
  const { client, state } = await runningVm()
  const impossible = {
    'has it open': vmSpec(3, { disks: [rootDisk(1)], nics: [] }),
    'no such file': vmSpec(3, { nics: [] }),
    'is qcow2, not raw': vmSpec(2, { disks: [rootDisk(2, { format: 'raw' })] }),
    'the same device twice': vmSpec(2, { disks: [rootDisk(2), rootDisk(3)] }),
    'tap vnic1.0 .* is busy': vmSpec(2, { nics: [nic(2, { deviceName: 'vnic1.0' })] }),
    'cannot use ISO /vm/x.iso': vmSpec(2, { cdroms: [{ deviceId: 0, path: '/vm/x.iso' }] }),
  }
  for (const [reason, vm] of Object.entries(impossible)) {
    await assert.rejects(client.call(startVm, { vm }), new RegExp(reason))
  }
  assert.deepEqual([...state.vms.keys()], [vmUuid])
  assert.deepEqual([...state.diskUsers.values(), ...state.tapUsers.values()], [vmUuid, vmUuid])
  await client.call(startVm, { vm: vmSpec(2) })
})

it('refuses to start on a backing file that is gone', async () => {
  const { client } = await runningVm()
  await client.call(deletePath, { path: '/vm/imagecache/template/guest/guest.qcow2' })
  await assert.rejects(client.call(startVm, { vm: vmSpec(2) }), /backing file .* no such file/)
})

it('refuses KVM where there is none', async () => {
  const host = await createReadyHost(await createSmallWorld(), { acceleration: 'tcg' })
  await host.createVolume(1)
  await assert.rejects(host.client.call(startVm, { vm: vmSpec(1) }), /needs KVM/)
  await host.client.call(startVm, { vm: vmSpec(1, { acceleration: 'tcg' }) })
})

it('refuses devices that are taken', async () => {
  const { client } = await runningVm()
  await client.call(startVm, { vm: vmSpec(2) })
  const attach = (disk: ReturnType<typeof rootDisk>) => client.call(attachVolume, { vmUuid, disk })
  await assert.rejects(attach(rootDisk(2, { deviceId: 1 })), /has it open/)
  await client.call(createEmptyVolume, { installPath: volumePath(4), sizeBytes: 2 ** 20 })
  await assert.rejects(attach(rootDisk(4)), /has a disk vda already/)
  await assert.rejects(attach(rootDisk(4, { deviceId: 1, bus: 'ide' })), /no hot-plug/)
  await attach(rootDisk(4, { deviceId: 1 }))
  const taken = nic(3, { deviceName: 'vnic2.0' })
  await assert.rejects(client.call(attachNic, { vmUuid, nic: taken }), /is busy/)
})

it('a disk that was let go is free for others; a paused guest lets none go', async () => {
  const { client } = await runningVm()
  const disk = rootDisk(2, { deviceId: 1 })
  await client.call(attachVolume, { vmUuid, disk })
  await client.call(pauseVm, { vmUuid })
  const detach = () => client.call(detachVolume, { vmUuid, installPath: disk.installPath })
  await assert.rejects(detach(), /it is paused/)
  await client.call(startVm, { vm: vmSpec(3, { disks: [] }) })
  const second = { vmUuid: uuidOf(3), disk }
  await assert.rejects(client.call(attachVolume, second), /has it open/)
  await client.call(resumeVm, { vmUuid })
  await detach()
  await client.call(attachVolume, second)
})

it('a tap that was let go is free for others', async () => {
  const { client } = await runningVm()
  await client.call(startVm, { vm: vmSpec(2) })
  await client.call(detachNic, { vmUuid: uuidOf(2), mac: nic(2).mac })
  await client.call(attachNic, { vmUuid, nic: nic(3, { deviceName: 'vnic2.0' }) })
})

it('keeps a bridge that carries a VM or a flat network', async () => {
  const { client, state } = await runningVm()
  const bridge = { bridge: 'br_eth0', physicalInterface: 'eth0' }
  await assert.rejects(client.call(deleteBridge, bridge), /uses it/)
  await client.call(stopVm, { vmUuid, graceMs: 0 })
  const served = { dhcpServerIp: '10.1.0.2', netmask: '255.255.0.0', dns: [], leases: [] }
  const network = { l3NetworkUuid: uuidOf(7), ...bridge, ...served }
  await client.call(applyFlatNetwork, network)
  await assert.rejects(client.call(deleteBridge, bridge), /uses it/)
  await client.call(deleteFlatNetwork, { l3NetworkUuid: uuidOf(7) })
  assert.deepEqual(await client.call(deleteBridge, bridge), { deleted: true })
  assert.equal(state.bridges.size, 0)
})

it('accounts what files take, and is full when it is', async () => {
  const { client, knobs } = await runningVm()
  const capacity = () => client.call(storageCapacity, { root: '/vm' })
  const before = await capacity()
  const volume = { installPath: volumePath(5), sizeBytes: 2 ** 30 }
  const { actualSizeBytes } = await client.call(createEmptyVolume, volume)
  assert.equal((await capacity()).availableBytes, before.availableBytes - actualSizeBytes)
  await client.call(deletePath, { path: volume.installPath })
  assert.deepEqual(await capacity(), before)
  knobs.resizeDisk(before.totalBytes - before.availableBytes + actualSizeBytes - 1)
  await assert.rejects(client.call(createEmptyVolume, volume), /no space left on device/)
  assert.equal((await capacity()).availableBytes, actualSizeBytes - 1)
})

it('keeps roots apart', async () => {
  const { client } = await runningVm()
  const init = (root: string, storageUuid: string) => client.call(initStorage, { root, storageUuid })
  await assert.rejects(init('/vm/inner', uuidOf(8)), /lie in one another/)
  await assert.rejects(init('/vm', uuidOf(8)), /holds the files of storage/)
  await assert.rejects(init('/data/../etc', uuidOf(8)), /holds `..`/)
  await init('/vm2', uuidOf(8))
  assert.deepEqual(await client.call(listStorage, { root: '/vm2' }), { files: [] })
})
