import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseDomainXml, parseQemuOwner } from './domain-parse.ts'

const live = readFileSync(`${import.meta.dirname}/testdata/live-q35.xml`, 'utf8')

test('a running domain as libvirt 9 describes it', () => {
  const domain = parseDomainXml(live)
  assert.deepEqual(domain, {
    name: '0123456789ab4def8123456789abcdef',
    uuid: '01234567-89ab-4def-8123-456789abcdef',
    ours: true,
    machine: 'q35',
    memoryBytes: 128 * 1024 * 1024,
    cpuNum: 1,
    disks: [
      {
        device: 'disk',
        path: '/run/local/root.qcow2',
        target: 'vda',
        bus: 'virtio',
        format: 'qcow2',
        cacheMode: 'none',
        alias: 'ua-vol-aaaaaaaaaaaa4aaa8aaaaaaaaaaaaaaa',
      },
      {
        device: 'cdrom',
        path: '',
        target: 'sda',
        bus: 'sata',
        format: '',
        cacheMode: 'writeback',
        alias: 'ua-cdrom-0',
      },
    ],
    nics: [
      {
        mac: 'fa:00:00:00:00:01',
        deviceName: 'vnic1.0',
        bridge: 'br_eth1',
        model: 'virtio',
        alias: 'ua-nic-bbbbbbbbbbbb4bbb8bbbbbbbbbbbbbbb',
      },
    ],
    vncSocket: '/var/lib/libvirt/qemu/domain-1-0123456789ab4def8123/vnc.sock',
  })
})

test('a domain is ours only when name, uuid and metadata all say so', () => {
  const ours = (xml: string) => parseDomainXml(xml).ours
  assert.equal(ours(live), true)
  assert.equal(ours(live.replace('<name>0123', '<name>9123')), false)
  assert.equal(ours(live.replace('urn:zstack:kvm-host:vm:1', 'urn:other')), false)
  assert.equal(ours(live.replace(/<metadata>.*<\/metadata>/s, '')), false)
  assert.equal(ours(live.replace('uuid="0123456789ab4def8123456789abcdef"', 'uuid="x"')), false)
  assert.equal(ours('<domain><name>a</name></domain>'), false)
})

test('the metadata prefix is free', () => {
  assert.equal(parseDomainXml(live.replace('<zs:vm xmlns:zs=', '<q:vm xmlns:q=')).ours, true)
})

test('the user QEMU runs as', () => {
  const capabilities = (label: string) => `<capabilities><host><secmodel><model>none</model></secmodel>
    <secmodel><model>dac</model><baselabel type='kvm'>${label}</baselabel><baselabel type='qemu'>+1:+2</baselabel></secmodel>
    </host></capabilities>`
  assert.deepEqual(parseQemuOwner(capabilities('+64055:+108')), { uid: 64055, gid: 108 })
  assert.equal(parseQemuOwner('<capabilities><host/></capabilities>'), undefined)
})
