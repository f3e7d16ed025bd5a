import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { getIpAddressCapacity } from '#plugins/l3-network/contract/address-apis.ts'
import { querySystemTag, queryUserTag } from '#plugins/tag/contract/apis.ts'
import { addIso, inventoryOf, simulatedHost, startCloud } from '#testkit'
import { createVmInstance, queryVmInstance } from '../contract/create-apis.ts'
import { startVmInstance } from '../contract/power-apis.ts'
import { vmNic } from '../contract/resources.ts'

const MiB = 2 ** 20
const GiB = 2 ** 30

test('a VM made with an offering runs, and shows all the contract promises', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const uuid = newUuid()
  const input = { name: 'web', description: 'front', imageUuid: dc.image, l3NetworkUuids: [dc.l3] }
  const vm = inventoryOf(
    await cloud.call(createVmInstance, {
      ...input,
      instanceOfferingUuid: dc.instanceOffering,
      resourceUuid: uuid,
    }),
  )
  const expected = {
    uuid,
    name: 'web',
    description: 'front',
    zoneUuid: dc.zone,
    clusterUuid: dc.cluster,
    hostUuid: dc.hosts[0],
    lastHostUuid: dc.hosts[0],
    imageUuid: dc.image,
    instanceOfferingUuid: dc.instanceOffering,
    platform: 'Linux',
    defaultL3NetworkUuid: dc.l3,
    type: 'UserVm',
    hypervisorType: 'Simulator',
    cpuNum: 1,
    memorySize: 128 * MiB,
    state: 'Running',
  }
  const { vmNics, allVolumes, ...own } = vm
  assert.deepEqual({ ...own, ...expected }, own)
  const hidden = ['internalId', 'accountUuid', 'deletedAt'].filter((name) => name in vm)
  assert.deepEqual(hidden, [], 'what no client may see is not there')
  assert.deepEqual([vmNics.length, vmNics[0].l3NetworkUuid, vmNics[0].deviceId], [1, dc.l3, 0])
  const [root] = allVolumes
  assert.deepEqual([root.type, root.status, root.format, root.size], ['Root', 'Ready', 'qcow2', 64 * MiB])
  assert.deepEqual([allVolumes.length, root.uuid], [1, vm.rootVolumeUuid])
})

test('the host runs the domain the API tells about: CPUs, memory, disk over the image, NIC on the bridge', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const input = { name: 'a', imageUuid: dc.image, cpuNum: 3, memorySize: 256 * MiB, l3NetworkUuids: [dc.l3] }
  const vm = inventoryOf(await cloud.call(createVmInstance, input))
  const { state } = simulatedHost(cloud)
  const domain = state.vms.get(vm.uuid)
  assert.ok(domain)
  assert.deepEqual([domain.state, domain.spec.cpuNum, domain.spec.memoryBytes], ['Running', 3, 256 * MiB])
  assert.deepEqual(domain.spec.bootOrder, ['hd', 'cdrom'])
  const [disk] = domain.disks
  assert.deepEqual([disk?.installPath, disk?.bus], [vm.allVolumes[0].installPath, 'virtio'])
  const file = state.files.get(disk?.installPath ?? '')
  assert.match(file?.backingPath ?? '', new RegExp(`/imagecache/template/${dc.image}/`))
  const [nic] = domain.nics
  const shown = vm.vmNics[0]
  assert.deepEqual([nic?.mac, nic?.deviceName, nic?.bridge], [shown.mac, shown.internalName, 'br_eth1'])
  assert.deepEqual(
    [...(state.networks.get(dc.l3)?.leases.values() ?? [])].map((l) => l.ip),
    [shown.ip],
  )
})

test('a VM from an ISO has an empty root disk and the ISO in its drive', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const iso = await addIso(cloud, dc.backupStorage)
  const input = { name: 'a', imageUuid: iso, cpuNum: 1, memorySize: 128 * MiB, l3NetworkUuids: [dc.l3] }
  const vm = inventoryOf(await cloud.call(createVmInstance, { ...input, rootDiskSize: 2 * GiB }))
  assert.deepEqual([vm.imageUuid, vm.allVolumes[0].size], [iso, 2 * GiB])
  assert.equal(vm.allVolumes[0].rootImageUuid, undefined)
  const { vms, files } = simulatedHost(cloud).state
  const cdrom = vms.get(vm.uuid)?.spec.cdroms[0]?.path ?? ''
  assert.match(cdrom, new RegExp(`/imagecache/iso/${iso}/${iso}\\.iso$`))
  assert.equal(files.get(cdrom)?.format, 'iso')
  assert.equal(files.get(vm.allVolumes[0].installPath)?.backingPath, undefined)
})

test('data disks by offering and by size are made along, in order, and are seen by the guest', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const input = { name: 'a', imageUuid: dc.image, cpuNum: 1, memorySize: 128 * MiB, zoneUuid: dc.zone }
  const disks = { dataDiskOfferingUuids: [dc.diskOffering, dc.diskOffering], dataDiskSizes: [3 * GiB] }
  const vm = inventoryOf(await cloud.call(createVmInstance, { ...input, ...disks, rootDiskSize: GiB }))
  const volumes = [...vm.allVolumes].sort((a, b) => a.deviceId - b.deviceId)
  const facts = volumes.map((v) => [v.type, v.deviceId, v.size, v.diskOfferingUuid])
  assert.deepEqual(facts, [
    ['Root', 0, GiB, undefined],
    ['Data', 1, GiB, dc.diskOffering],
    ['Data', 2, GiB, dc.diskOffering],
    ['Data', 3, 3 * GiB, undefined],
  ])
  const domain = simulatedHost(cloud).state.vms.get(vm.uuid)
  assert.deepEqual(
    domain?.disks.map((d) => d.installPath),
    volumes.map((v) => v.installPath),
  )
})

test('CreateStopped leaves the VM off with its disk made and nothing taken on the host; it starts later', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const input = { name: 'a', imageUuid: dc.image, instanceOfferingUuid: dc.instanceOffering }
  const off = { ...input, l3NetworkUuids: [dc.l3], strategy: 'CreateStopped' as const }
  const vm = inventoryOf(await cloud.call(createVmInstance, off))
  assert.deepEqual([vm.state, vm.hostUuid, vm.allVolumes[0].status], ['Stopped', undefined, 'Ready'])
  const { state } = simulatedHost(cloud)
  assert.deepEqual([state.vms.size, state.usedMemoryBytes], [0, 0])
  const started = inventoryOf(await cloud.call(startVmInstance, { uuid: vm.uuid }))
  assert.deepEqual([started.state, started.hostUuid], ['Running', dc.hosts[0]])
})

test('host name, user data, SSH key and static address reach the host; user tags are kept', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const userData = '#cloud-config\nusers: []\n'
  const systemTags = [
    'hostname::web-1',
    `userdata::${Buffer.from(userData).toString('base64')}`,
    'sshkey::ssh-ed25519 AAAAC3 me@x::y',
    `staticIp::${dc.l3}::10.99.7.7`,
  ]
  const input = { name: 'a', imageUuid: dc.image, instanceOfferingUuid: dc.instanceOffering }
  const tags = { systemTags, userTags: ['team-a', 'prod'] }
  const vm = inventoryOf(await cloud.call(createVmInstance, { ...input, l3NetworkUuids: [dc.l3], ...tags }))
  assert.equal(vm.vmNics[0].ip, '10.99.7.7')
  const [lease] = simulatedHost(cloud).state.networks.get(dc.l3)?.leases.values() ?? []
  assert.ok(lease)
  assert.deepEqual([lease.hostname, lease.ip, lease.isDefault], ['web-1', '10.99.7.7', true])
  assert.equal(lease.metadata?.['public-keys/0/openssh-key'], 'ssh-ed25519 AAAAC3 me@x::y')
  assert.equal(lease.userData, userData)
  const conditions = [{ name: 'resourceUuid', op: '=' as const, value: vm.uuid }]
  const ofVm = async (api: typeof queryUserTag) => (await cloud.query(api, { conditions })).map((x) => x.tag)
  assert.deepEqual((await ofVm(queryUserTag)).sort(), ['prod', 'team-a'])
  assert.deepEqual((await ofVm(querySystemTag)).sort(), [...systemTags].sort())
})

test('a VM goes where it is asked to: host, cluster and zone', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 3 })
  const input = { name: 'a', imageUuid: dc.image, instanceOfferingUuid: dc.instanceOffering }
  for (const hostUuid of dc.hosts) {
    const vm = inventoryOf(await cloud.call(createVmInstance, { ...input, hostUuid }))
    assert.equal(vm.hostUuid, hostUuid)
  }
  const inCluster = inventoryOf(await cloud.call(createVmInstance, { ...input, clusterUuid: dc.cluster }))
  const inZone = inventoryOf(await cloud.call(createVmInstance, { ...input, zoneUuid: dc.zone }))
  assert.deepEqual([inCluster.clusterUuid, inZone.zoneUuid], [dc.cluster, dc.zone])
  const conditions = [{ name: 'vmNics.uuid', op: 'is not null' as const }]
  assert.deepEqual(await cloud.query(queryVmInstance, { conditions }), [], 'none has a NIC')
})

test('a creation that fails on the host leaves nothing anywhere, and says what failed', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const { knobs, state } = simulatedHost(cloud)
  const input = { name: 'a', imageUuid: dc.image, instanceOfferingUuid: dc.instanceOffering }
  const all = { ...input, l3NetworkUuids: [dc.l3], dataDiskSizes: [GiB], userTags: ['x'] }
  for (const call of ['startVm', 'createEmptyVolume', 'createVolumeFromCache', 'addFlatLeases'] as const) {
    knobs.failNext(call, `no luck with ${call}`)
    await assert.rejects(cloud.call(createVmInstance, all), new RegExp(`no luck with ${call}`))
    const overlays = state.files.list('/zstack_ps').filter(({ path }) => !path.includes('/imagecache/'))
    assert.deepEqual([overlays, state.vms.size, state.usedMemoryBytes], [[], 0, 0], call)
    assert.deepEqual(await cloud.query(queryVmInstance), [])
    const nics = await cloud.cloud.context.query.query(vmNic, { conditions: [] })
    assert.deepEqual([nics.inventories, await cloud.query(queryUserTag)], [[], []])
  }
  const { usedIpAddressNumber } = await cloud.call(getIpAddressCapacity, { l3NetworkUuids: [dc.l3] })
  assert.equal(usedIpAddressNumber, 1, 'only the DHCP server has an address')
})
