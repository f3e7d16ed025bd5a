import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { DiskSpec, NicSpec, VmSpec } from '../contract/vm.ts'
import { parseDomainXml } from './domain-parse.ts'
import { buildDiskXml, buildDomainXml, buildNicXml, type DomainHost } from './domain-xml.ts'

const host: DomainHost = {
  serialLogDirectory: '/var/log/zstack/vm',
  randomDevice: '/dev/urandom',
  cpuShares: true,
}

const root: DiskSpec = {
  volumeUuid: '11111111111141118111111111111111',
  installPath: '/zstack_ps/rootVolumes/acct-1/vol-1/1.qcow2',
  format: 'qcow2',
  deviceId: 0,
  bus: 'virtio',
  cacheMode: 'none',
}
const data: DiskSpec = {
  volumeUuid: '22222222222242228222222222222222',
  installPath: '/zstack_ps/dataVolumes/acct-1/vol-2/2.img',
  format: 'raw',
  deviceId: 1,
  bus: 'virtio',
  cacheMode: 'writeback',
}
const nic: NicSpec = {
  nicUuid: '33333333333343338333333333333333',
  mac: 'fa:01:02:03:04:05',
  ip: '192.0.2.7',
  bridge: 'br_eth1',
  deviceName: 'vnic3.0',
  model: 'virtio',
}
const vm: VmSpec = {
  vmUuid: '0123456789ab4def8123456789abcdef',
  name: `we"'<>&]]>\u0001\nird`,
  memoryBytes: 1024 ** 3,
  cpuNum: 2,
  cpuShares: 512,
  acceleration: 'kvm',
  machine: 'q35',
  disks: [root, data],
  cdroms: [{ deviceId: 0, path: '/zstack_ps/imagecache/iso/a & b.iso' }],
  nics: [nic],
  bootOrder: ['cdrom', 'hd'],
  consolePassword: "p'w",
}
const old: VmSpec = {
  ...vm,
  memoryBytes: 128 * 1024 ** 2,
  acceleration: 'tcg',
  machine: 'pc',
  disks: [{ ...root, bus: 'ide' }],
  cdroms: [{ deviceId: 0, path: '' }],
  nics: [{ ...nic, model: 'e1000' }],
  bootOrder: ['hd', 'network'],
  consolePassword: undefined,
}

/** Compares with testdata/<name>; UPDATE_GOLDEN=1 writes it anew, for a person to look at the difference. */
function compare(name: string, actual: string): void {
  const file = `${import.meta.dirname}/testdata/${name}`
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, actual)
  assert.equal(actual, readFileSync(file, 'utf8'))
}

test('a modern VM under kvm', () => compare('q35-kvm.xml', buildDomainXml(vm, host)))
test('an old VM under tcg, on a host without a source of random numbers or cpu weights', () =>
  compare('pc-tcg.xml', buildDomainXml(old, { ...host, randomDevice: undefined, cpuShares: false })))
test('a disk to plug', () => compare('disk.xml', buildDiskXml(data, 'q35')))
test('a NIC to plug', () => compare('nic.xml', buildNicXml(nic)))

test('what is built is read back', () => {
  const live = parseDomainXml(buildDomainXml(vm, host))
  assert.equal(live.ours, true)
  assert.equal(live.name, vm.vmUuid)
  assert.deepEqual(
    live.disks.map(({ path, target, format, cacheMode }) => [path, target, format, cacheMode]),
    [
      [root.installPath, 'vda', 'qcow2', 'none'],
      [data.installPath, 'vdb', 'raw', 'writeback'],
      [vm.cdroms[0]?.path, 'sda', 'raw', 'writeback'],
    ],
  )
  assert.deepEqual([live.memoryBytes, live.cpuNum, live.machine], [vm.memoryBytes, 2, 'q35'])
})

test('emulated disks and CD-ROMs do not take the same place', () => {
  const targets = parseDomainXml(buildDomainXml({ ...old, machine: 'q35' }, host)).disks.map((d) => d.target)
  assert.deepEqual(targets, ['sda', 'sdb'])
})

test('a fifth IDE drive is refused with the reason', () => {
  const cdroms = Array.from({ length: 4 }, (_, deviceId) => ({ deviceId, path: '' }))
  assert.throws(
    () => buildDomainXml({ ...old, cdroms }, host),
    /CD-ROM 3 does not fit: machine type pc has four IDE places/,
  )
})
