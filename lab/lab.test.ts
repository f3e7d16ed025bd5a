/**
 * End to end, as root on a real Linux: two hosts, every verb, a guest of the built image, nothing left
 * behind.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { waitFor } from '#kernel'
import { runCommand } from './command.ts'
import { stateDir } from './config.ts'
import { LabError } from './error.ts'
import { startMetadata } from './guest-services.fixture.ts'
import { buildGuestImage } from './images/build-guest.ts'
import { createLab, type Lab } from './lab.ts'
import { diff, type Snapshot, snapshot } from './leak-check.ts'

const NAME = `test-${process.pid}`
const root = process.getuid?.() === 0
const skip = root ? false : 'needs root: the lab makes namespaces and mounts'
const lab: Lab = createLab({ name: NAME })
let untouched: Snapshot

const ping = (address: string) => ['ping', '-c', '1', '-W', '1', '-n', address]
const answers = async (address: string) => {
  return (await lab.runInSwitch(ping(address), { allowFailure: true })).status === 0
}

before(async () => {
  if (!root) return
  untouched = await snapshot()
  await lab.up({ hosts: 2 })
})

after(async () => {
  if (root) await lab.down()
})

test('up is idempotent and keeps running hosts running', { skip }, async () => {
  const bootId = ['cat', '/proc/sys/kernel/random/boot_id']
  const first = (await lab.host('host1').exec(bootId)).stdout
  const status = await lab.up({ hosts: 2 })
  assert.deepEqual(
    status.hosts.map((host) => [host.name, host.address, host.state]),
    [
      ['host1', '10.98.0.11', 'running'],
      ['host2', '10.98.0.12', 'running'],
    ],
  )
  assert.equal((await lab.host('host1').exec(bootId)).stdout, first)
})

test('a host lets root in by password, and not by a wrong one', { skip }, async () => {
  const { address, password } = lab.host('host2')
  const options = [
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'PreferredAuthentications=password',
  ]
  const ssh = (secret: string) => {
    const argv = [
      'sshpass',
      '-e',
      'ssh',
      ...options.flatMap((option) => ['-o', option]),
      `root@${address}`,
      'hostname',
    ]
    return lab.runInSwitch(argv, { env: { ...process.env, SSHPASS: secret }, allowFailure: true })
  }
  assert.equal((await ssh(password)).stdout, 'host2\n')
  assert.equal((await ssh('wrong')).status, 5)
})

test('the state file with the password is readable by root only', { skip }, async () => {
  const { mode } = await stat(join(stateDir(NAME), 'lab.json'))
  assert.equal(mode & 0o777, 0o600)
})

test('hosts see nothing of the project and listen on ssh alone', { skip }, async () => {
  const { exec } = lab.host('host1')
  const seen = await exec(['ls', '-A', import.meta.dirname, join(import.meta.dirname, '..')], {
    allowFailure: true,
  })
  assert.equal(seen.stdout, '')
  assert.equal((await exec(['ls', '-A', '/root'])).stdout, '.ssh\n')
  const ports = (await exec(['ss', '-Hltn'])).stdout.match(/:\d+(?= )/g)
  assert.deepEqual([...new Set(ports)], [':22'])
})

test('libvirt reports a uuid that outlives a crash; the disk does too', { skip }, async () => {
  const host = lab.host('host2')
  const uuid = async () =>
    (await host.exec(['virsh', 'capabilities'])).stdout.match(/<uuid>(.*)<\/uuid>/)?.[1]
  const first = await uuid()
  await host.exec(['touch', '/etc/kept', '/zstack_ps/kept'])
  await host.crash()
  assert.equal(await host.condition(), 'off')
  assert.equal(await answers(host.address), false)
  await assert.rejects(host.exec(['true']), LabError)
  await host.start()
  await host.exec(['ls', '/etc/kept', '/zstack_ps/kept'])
  assert.equal(await uuid(), first)
  assert.equal(
    (await lab.host('host1').exec(['virsh', 'capabilities'])).stdout.includes(String(first)),
    false,
  )
})

test('reboot from inside boots again with a new boot id and a clock from zero', { skip }, async () => {
  const host = lab.host('host2')
  const bootId = async () => (await host.exec(['cat', '/proc/sys/kernel/random/boot_id'])).stdout
  const first = await bootId()
  await host.exec(['reboot'], { allowFailure: true })
  await waitFor('a new boot id', async () => (await bootId().catch(() => first)) !== first, {
    timeoutMs: 10_000,
  })
  const [uptime] = (await host.exec(['cat', '/proc/uptime'])).stdout.split('.')
  assert.ok(Number(uptime) < 10, `uptime ${uptime}`)
})

test('a frozen host answers ping but runs nothing until thawed', { skip }, async () => {
  const host = lab.host('host1')
  await host.exec(['sh', '-c', '(while :; do date +%s%N > /run/tick; sleep 0.01; done) >/dev/null 2>&1 &'])
  const tick = async () => (await host.exec(['cat', '/run/tick'])).stdout
  await waitFor('the first tick', async () => (await tick().catch(() => '')) !== '', { timeoutMs: 5000 })
  await host.freeze()
  assert.equal(await host.condition(), 'frozen')
  assert.equal(await answers(host.address), true)
  await assert.rejects(host.exec(['true']), /is frozen/)
  await host.thaw()
  const after = await tick()
  await waitFor('time to go on', async () => (await tick()) !== after, { timeoutMs: 5000 })
})

test('cut and heal: all cables, one pair, the path to the management server', { skip }, async () => {
  const [host1, host2] = [lab.host('host1'), lab.host('host2')]
  const host1SeesHost2 = async () =>
    (await host1.exec(ping(host2.address), { allowFailure: true })).status === 0
  assert.deepEqual([await answers(host1.address), await host1SeesHost2()], [true, true])
  await host1.cut()
  assert.deepEqual([await answers(host1.address), await host1SeesHost2()], [false, false])
  await host1.heal()
  await waitFor('the healed path', () => answers(host1.address), { timeoutMs: 5000 })
  await host1.cut('host2')
  assert.deepEqual([await answers(host1.address), await host1SeesHost2()], [true, false])
  await host1.heal('host2')
  await waitFor('the healed path', host1SeesHost2, { timeoutMs: 5000 })
  await host1.cut('switch')
  assert.deepEqual([await answers(host1.address), await host1SeesHost2()], [false, true])
  await host1.heal('switch')
  await waitFor('the healed path', () => answers(host1.address), { timeoutMs: 5000 })
  await assert.rejects(async () => host1.cut('nobody'), /no host 'nobody'/)
})

test('a guest boots on a host, reads its data, serves it, and obeys the power button', { skip }, async () => {
  const host = lab.host('host1')
  const storage = join('/var/lib/zstack-lab', NAME, 'host1/zstack_ps')
  await copyFile(await buildGuestImage(), join(storage, 'guest.qcow2'))
  await writeFile(join(storage, 'guest.xml'), domainXml)
  const userData = '#!/bin/sh\necho "ran in $(hostname)"\n'
  await startMetadata(lab, { address: '10.99.0.50', hostname: 'guest-one', userData })
  await host.exec(['ip', 'link', 'add', 'br-guest', 'type', 'bridge'])
  await host.exec(['ip', 'link', 'set', 'eth1', 'master', 'br-guest'])
  await host.exec(['ip', 'link', 'set', 'br-guest', 'up'])
  await host.exec(['virsh', '-q', 'create', '/zstack_ps/guest.xml'])
  const console = async () =>
    (await host.exec(['cat', '/zstack_ps/console.log'], { allowFailure: true })).stdout
  const said = await waitFor(
    'the guest to be ready',
    async () => {
      const text = await console()
      return text.includes('GUEST-READY guest-one') && text
    },
    { timeoutMs: 30_000 },
  )
  assert.match(said, /LEASE eth0 10\.99\.0\.50\/24 .*mtu=1450/)
  assert.match(said, /^ran in guest-one\r?$/m)
  const get = async (path: string) =>
    (await lab.runInSwitch(['curl', '-sSf', `http://10.99.0.50${path}`])).stdout
  assert.equal(await get('/'), 'guest-one\n')
  assert.equal(await get('/user-data'), userData)
  assert.match(await get('/disks'), /^vda \d+$/m)
  await host.exec(['virsh', '-q', 'shutdown', 'guest'])
  const gone = async () => (await host.exec(['virsh', '-q', 'list', '--name'])).stdout.trim() === ''
  await waitFor('the guest to power off', gone, { timeoutMs: 15_000 })
})

test('a second lab lives beside the first, with systemd and the same addresses', { skip }, async () => {
  const other = createLab({
    name: `test-b-${process.pid}`,
    init: 'systemd',
    nat: false,
    password: 'secret-b',
  })
  try {
    const { hosts, nat } = await other.up({ hosts: 1 })
    assert.deepEqual(hosts, [{ name: 'host1', address: '10.98.0.11', state: 'running' }])
    assert.deepEqual(nat, { on: false, reason: 'switched off' })
    assert.equal((await other.host('host1').exec(['systemctl', 'is-system-running'])).stdout, 'running\n')
    assert.equal(createLab({ name: other.name }).host('host1').password, 'secret-b')
    await other.host('host1').exec(['touch', '/etc/only-here'])
    await assert.rejects(lab.host('host1').exec(['ls', '/etc/only-here']), LabError)
  } finally {
    await other.down()
  }
  assert.equal((await lab.host('host1').condition()) as string, 'running')
})

test('a server in the switch is reached on the loopback of the machine', { skip }, async (t) => {
  const status = await lab.status()
  if (!status.nat?.on) return t.skip(`no way out: ${status.nat?.reason}`)
  const server = lab.spawnInSwitch([process.execPath, '--input-type=module', '--eval', GREETER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  assert.ok(server.stdout)
  await once(server.stdout, 'data')
  const port = await freePort()
  await lab.forward({ listen: '127.0.0.1', port, toPort: 8080 })
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'hello from the switch')
  server.kill()
})

test('down leaves nothing behind, and down again is fine', { skip }, async () => {
  const busy = (await snapshot()).processes.filter((line) => line.includes(NAME))
  assert.ok(
    busy.some((line) => line.includes('libvirtd')),
    'the leak check sees the processes of a running lab',
  )
  await lab.down()
  // other work on this machine may come and go; what is ours bears the lab's name or one of these
  const ours = new RegExp(
    `lab-test-(b-)?${process.pid}|br-mgmt|br-vm|nat0|-host[12]|table \\w+ lab|10\\.9[789]\\.`,
  )
  assert.deepEqual(
    diff(untouched, await snapshot()).filter((line) => ours.test(line)),
    [],
  )
  await lab.down()
  assert.deepEqual(await lab.status(), { name: NAME, up: false, hosts: [] })
})

test('an unknown lab or host is named in the error', { skip }, async () => {
  assert.throws(() => createLab({ name: 'no-such-lab' }).host('host1'), /no lab 'no-such-lab'/)
  assert.throws(() => createLab({ name: 'No Lab' }), /is no lab name/)
  await assert.rejects(createLab({ name: 'no-such-lab' }).up({ hosts: 0 }), /1 to 200 hosts/)
  assert.equal((await runCommand(['ls', '/run/netns'])).stdout.includes('no-such-lab'), false)
})

const GREETER = `
import { createServer } from 'node:http'
createServer((_, response) => response.end('hello from the switch')).listen(8080, () => console.log('listening'))
`

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

const domainXml = `<domain type='qemu'><name>guest</name><memory unit='MiB'>96</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os>
<features><acpi/><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator><controller type='usb' model='none'/>
<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='writeback'/>
<source file='/zstack_ps/guest.qcow2'/><target dev='vda' bus='virtio'/></disk>
<interface type='bridge'><source bridge='br-guest'/><mac address='52:54:00:99:00:50'/><model type='virtio'/>
<rom enabled='no'/></interface>
<serial type='file'><source path='/zstack_ps/console.log'/><target port='0'/></serial></devices></domain>`
