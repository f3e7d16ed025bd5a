/** What a person does with `./zstack up` and zstack-cli: a whole cloud from zone to VM on real hosts, and all of it away again. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { askGuest, guestPages, guestSays, pingGuest, streamFromGuest } from './support/guest.ts'
import { countRows, type Inventory, inventoryOfHosts } from './support/inventory.ts'
import { type Json, withRealCloud } from './support/real-cloud.ts'
import { serveImage } from './support/serve-image.ts'

const MiB = 2 ** 20
const sshkey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIByHand0000000000000000000000000000000 by@hand'

describe('by hand', () => {
  const getCloud = withRealCloud({ name: 'hand', hosts: 2 })
  const cli = (...words: string[]) => getCloud().cli(...words)
  const made = async (...words: string[]): Promise<Json> => (await cli(...words)).inventory
  /** Uuids of what was made so far, by what it is. */
  const its: Record<string, string> = {}
  let before: { hosts: Inventory; rows: Record<string, number> }
  let vm: Json
  let ip: string

  const hostNames = ['host1', 'host2', 'host3', 'host4']
  const take = async () => {
    const { lab, client } = getCloud()
    return { hosts: await inventoryOfHosts(lab, hostNames), rows: await countRows(client) }
  }
  const vmNow = async () => (await cli('QueryVmInstance', `uuid=${vm.uuid}`)).inventories[0]
  const labHostOf = async () => ((await vmNow()).hostUuid === its.host3 ? 'host3' : 'host4')
  const domainXml = async () => {
    const { stdout } = await getCloud()
      .lab.host(await labHostOf())
      .exec(['virsh', 'dumpxml', vm.uuid])
    return stdout
  }

  test('a second up changes nothing and takes a moment; status tells what runs', async (t) => {
    const { client, zstack, managementPid } = getCloud()
    const [pid, rows] = [await managementPid(), await countRows(client)]
    const begun = performance.now()
    const { stdout } = await zstack(['up'])
    const tookMs = Math.round(performance.now() - begun)
    t.diagnostic(`the second up took ${tookMs} ms`)
    assert.match(stdout, /VM first-vm runs at 10\.99\.0\.\d+ and read its user data: hello/)
    assert.deepEqual([await managementPid(), await countRows(client)], [pid, rows])
    assert.ok(tookMs < 5000, `the second up took ${tookMs} ms`)
    const status = (await zstack(['status'])).stdout
    for (const word of [`pid ${pid}`, 'host1 10.98.0.11 Enabled Connected', 'vm          first-vm Running'])
      assert.ok(status.includes(word), `${word} is missing in: ${status}`)
  })

  test('zone, cluster, hosts, storages', async () => {
    const { lab, zstack } = getCloud()
    await zstack(['lab', 'up', '--name', lab.name, '--hosts', '4'])
    before = await take()
    await cli('LogInByAccount', 'accountName=admin', 'password=password')
    const zone = await made('CreateZone', 'name=zone-2')
    const cluster = await made('CreateCluster', 'name=c2', `zoneUuid=${zone.uuid}`, 'hypervisorType=KVM')
    Object.assign(its, { zone: zone.uuid, cluster: cluster.uuid })
    const storage = await made(
      'AddLocalPrimaryStorage',
      'name=ps2',
      `zoneUuid=${zone.uuid}`,
      'url=/zstack_ps',
    )
    its.ps = storage.uuid
    await cli('AttachPrimaryStorageToCluster', `primaryStorageUuid=${its.ps}`, `clusterUuid=${its.cluster}`)
    for (const name of ['host3', 'host4']) {
      const { address, user, password } = lab.host(name)
      const access = [`managementIp=${address}`, `username=${user}`, `password=${password}`]
      const host = await made('AddKVMHost', `name=${name}`, `clusterUuid=${its.cluster}`, ...access)
      assert.equal(host.status, 'Connected')
      its[name] = host.uuid
    }
    const { address, user, password } = lab.host('host3')
    const access = [`hostname=${address}`, `username=${user}`, `password=${password}`]
    its.bs = (await made('AddSftpBackupStorage', 'name=bs2', 'url=/zstack_bs', ...access)).uuid
    await cli('AttachBackupStorageToZone', `backupStorageUuid=${its.bs}`, `zoneUuid=${its.zone}`)
  })

  test('image and network', async () => {
    const { lab } = getCloud()
    const server = await serveImage(lab)
    try {
      const what = ['name=guest2', `url=${server.url}`, 'format=qcow2', 'platform=Linux']
      const image = await made(
        'AddImage',
        ...what,
        'mediaType=RootVolumeTemplate',
        `backupStorageUuids=${its.bs}`,
      )
      assert.equal(image.status, 'Ready')
      its.image = image.uuid
    } finally {
      await server.stop()
    }
    const l2 = await made(
      'CreateL2NoVlanNetwork',
      'name=l2-2',
      `zoneUuid=${its.zone}`,
      'physicalInterface=eth1',
    )
    its.l2 = l2.uuid
    await cli('AttachL2NetworkToCluster', `l2NetworkUuid=${its.l2}`, `clusterUuid=${its.cluster}`)
    its.l3 = (await made('CreateL3Network', 'name=l3-2', `l2NetworkUuid=${its.l2}`)).uuid
    const range = ['startIp=10.99.0.5', 'endIp=10.99.0.15', 'netmask=255.255.255.0', 'gateway=10.99.0.1']
    its.range = (await made('AddIpRange', 'name=r2', `l3NetworkUuid=${its.l3}`, ...range)).uuid
    await cli('AddDnsToL3Network', `l3NetworkUuid=${its.l3}`, 'dns=10.99.0.1')
    const [flat] = (await cli('QueryNetworkServiceProvider', 'type=Flat')).inventories
    const services = JSON.stringify({ [flat.uuid]: ['DHCP', 'Userdata'] })
    await cli('AttachNetworkServiceToL3Network', `l3NetworkUuid=${its.l3}`, `networkServices=${services}`)
    const offering = ['name=tiny2', 'cpuNum=1', `memorySize=${128 * MiB}`]
    its.offering = (await made('CreateInstanceOffering', ...offering)).uuid
  })

  test('a VM that reads its user data, host name and key', async () => {
    const { lab } = getCloud()
    const userdata = Buffer.from(guestPages).toString('base64')
    vm = await made(
      'CreateVmInstance',
      'name=web',
      `instanceOfferingUuid=${its.offering}`,
      `imageUuid=${its.image}`,
      `l3NetworkUuids=${its.l3}`,
      `hostUuid=${its.host3}`,
      `systemTags=hostname::web-2,userdata::${userdata},sshkey::${sshkey}`,
    )
    assert.deepEqual([vm.state, vm.hostUuid, vm.zoneUuid], ['Running', its.host3, its.zone])
    ip = vm.vmNics[0].ip
    await guestSays(lab, ip, '/cgi-bin/keys', sshkey)
    assert.equal(await askGuest(lab, ip, '/user-data'), guestPages)
    assert.equal((await askGuest(lab, ip, '/'))?.trim(), 'web-2')
    assert.match(String(await askGuest(lab, ip, '/cgi-bin/nics')), new RegExp(`inet ${ip}/24 .*eth0`))
    const ping = pingGuest(lab, ip)
    await ping.answered()
    await ping.stop()
    assert.match((await domainXml()) ?? '', /cache='none'/)
  })

  test('queries find it by what it has', async () => {
    const find = async (...words: string[]) => (await cli('QueryVmInstance', ...words)).inventories
    const names = async (...words: string[]) => (await find(...words)).map((v: Json) => v.name)
    const ours = `zone.name=zone-2`
    assert.deepEqual(await names('vmNics.l3Network.name=l3-2', ours), ['web'])
    assert.deepEqual(await names('vmNics.l3Network.name=nowhere'), [])
    assert.deepEqual(await names(ours, `allVolumes.size>${MiB}`), ['web'])
    assert.deepEqual(await names(ours, `allVolumes.size>${2 ** 50}`), [])
    assert.equal((await cli('QueryVmInstance', 'count=true', ours)).total, 1)
    assert.deepEqual(await find(ours, 'fields=name,state'), [{ name: 'web', state: 'Running' }])
    assert.deepEqual(await names('sortBy=name', 'sortDirection=desc'), ['web', 'first-vm'])
    assert.deepEqual(await names('sortBy=name', 'sortDirection=desc', 'start=1', 'limit=1'), ['first-vm'])
    await cli('CreateUserTag', 'resourceType=VmInstanceVO', `resourceUuid=${vm.uuid}`, 'tag=shop')
    assert.deepEqual(await names('__userTag__=shop'), ['web'])
    assert.deepEqual(await names('__systemTag__=hostname::web-2'), ['web'])
  })

  test('a data volume is plugged into the running guest', async () => {
    const { lab } = getCloud()
    its.disk = (await made('CreateDiskOffering', 'name=d2', `diskSize=${64 * MiB}`)).uuid
    its.volume = (await made('CreateDataVolume', 'name=data2', `diskOfferingUuid=${its.disk}`)).uuid
    await cli('AttachDataVolumeToVm', `vmInstanceUuid=${vm.uuid}`, `volumeUuid=${its.volume}`)
    await guestSays(lab, ip, '/cgi-bin/disks', `vdb ${64 * MiB}`)
  })

  test('it moves to the other host with its disks, and nobody who uses it notices', async (t) => {
    const { lab } = getCloud()
    const stream = streamFromGuest(lab, ip)
    const ping = pingGuest(lab, ip)
    await stream.goesOn()
    const begun = performance.now()
    await cli('MigrateVm', `vmInstanceUuid=${vm.uuid}`, `hostUuid=${its.host4}`)
    const tookMs = Math.round(performance.now() - begun)
    await stream.goesOn()
    await ping.answered()
    const { sent, lost } = await ping.stop()
    t.diagnostic(
      `moved in ${tookMs} ms; ${lost} of ${sent} pings lost; stream silent ${stream.longestGapMs()} ms`,
    )
    const numbers = stream.numbers()
    assert.ok(stream.isOpen(), 'the connection lived on')
    assert.deepEqual(numbers, [...numbers.keys()], 'no line is missing or twice')
    await stream.stop()
    assert.ok(lost <= 20, `${lost} of ${sent} pings lost`)
    assert.deepEqual([(await vmNow()).hostUuid, (await vmNow()).state], [its.host4, 'Running'])
    const { host3 = [], host4 = [] } = await inventoryOfHosts(lab, ['host3', 'host4'])
    const about = (lines: readonly string[]) =>
      lines.filter((line) => /\/vol-|qemu|domain|vnic|migration/.test(line))
    assert.deepEqual(about(host3), [])
    assert.equal(about(host4).filter((line) => line.startsWith('file')).length, 2)
  })

  test('after the move it still gets its lease and its user data', async () => {
    const { lab } = getCloud()
    assert.match(await guestSays(lab, ip, '/cgi-bin/renew', 'LEASE'), new RegExp(`LEASE eth0 ${ip}/`))
    assert.equal(await guestSays(lab, ip, '/cgi-bin/user-data', '#!'), guestPages)
  })

  test('pause and resume', async () => {
    const { lab } = getCloud()
    assert.equal((await made('PauseVmInstance', `uuid=${vm.uuid}`)).state, 'Paused')
    assert.equal(await askGuest(lab, ip, '/', 1), undefined)
    assert.equal((await made('ResumeVmInstance', `uuid=${vm.uuid}`)).state, 'Running')
    await guestSays(lab, ip, '/', 'web-2')
  })

  test('the volume goes: detached from the guest, deleted, expunged', async () => {
    const { lab } = getCloud()
    await cli('DetachDataVolumeFromVm', `uuid=${its.volume}`)
    assert.doesNotMatch(String(await askGuest(lab, ip, '/cgi-bin/disks')), /vdb/)
    await cli('DeleteDataVolume', `uuid=${its.volume}`)
    await cli('ExpungeDataVolume', `uuid=${its.volume}`)
    assert.deepEqual((await cli('QueryVolume', `uuid=${its.volume}`)).inventories, [])
  })

  test('stop and start, with another cache mode from the global configuration', async () => {
    const { lab } = getCloud()
    const config = ['UpdateGlobalConfig', 'category=kvm', 'name=vm.cacheMode']
    await cli(...config, 'value=writethrough')
    try {
      const stopped = await made('StopVmInstance', `uuid=${vm.uuid}`)
      assert.deepEqual([stopped.state, stopped.hostUuid], ['Stopped', undefined])
      assert.equal((await made('StartVmInstance', `uuid=${vm.uuid}`)).state, 'Running')
      assert.match((await domainXml()) ?? '', /cache='writethrough'/)
      await guestSays(lab, ip, '/cgi-bin/keys', sshkey)
    } finally {
      await cli(...config, 'value=none')
    }
  })

  test('a volume is detached from a guest that is still booting', async () => {
    const { lab } = getCloud()
    const early = (await made('CreateDataVolume', 'name=early', `diskOfferingUuid=${its.disk}`)).uuid
    await cli('AttachDataVolumeToVm', `vmInstanceUuid=${vm.uuid}`, `volumeUuid=${early}`)
    await cli('RebootVmInstance', `uuid=${vm.uuid}`)
    await cli('DetachDataVolumeFromVm', `uuid=${early}`)
    await guestSays(lab, ip, '/', 'web-2')
    assert.doesNotMatch(String(await askGuest(lab, ip, '/cgi-bin/disks')), /vdb/)
    await cli('DeleteDataVolume', `uuid=${early}`)
    await cli('ExpungeDataVolume', `uuid=${early}`)
  })

  test('everything goes, down to the zone, and the hosts are as before', async () => {
    const { lab } = getCloud()
    await cli('DestroyVmInstance', `uuid=${vm.uuid}`)
    await cli('ExpungeVmInstance', `uuid=${vm.uuid}`)
    await cli('DeleteImage', `uuid=${its.image}`)
    await cli('ExpungeImage', `imageUuid=${its.image}`)
    await cli('DeleteIpRange', `uuid=${its.range}`)
    await cli('DeleteL3Network', `uuid=${its.l3}`)
    await cli('DetachL2NetworkFromCluster', `l2NetworkUuid=${its.l2}`, `clusterUuid=${its.cluster}`)
    await cli('DeleteL2Network', `uuid=${its.l2}`)
    await cli('DetachBackupStorageFromZone', `backupStorageUuid=${its.bs}`, `zoneUuid=${its.zone}`)
    await cli('DeleteBackupStorage', `uuid=${its.bs}`)
    await cli('DetachPrimaryStorageFromCluster', `primaryStorageUuid=${its.ps}`, `clusterUuid=${its.cluster}`)
    await cli('DeletePrimaryStorage', `uuid=${its.ps}`)
    for (const name of ['host3', 'host4']) await cli('DeleteHost', `uuid=${its[name]}`)
    await cli('DeleteInstanceOffering', `uuid=${its.offering}`)
    await cli('DeleteDiskOffering', `uuid=${its.disk}`)
    await cli('DeleteCluster', `uuid=${its.cluster}`)
    await cli('DeleteZone', `uuid=${its.zone}`)
    assert.deepEqual(await take(), before)
    for (const name of ['host3', 'host4']) {
      const left = await lab
        .host(name)
        .exec(['find', '/var/lib/zstack/agent', '-type', 'f'], { allowFailure: true })
      assert.equal(left.stdout, '', `agents were left on ${name}`)
    }
  })
})
