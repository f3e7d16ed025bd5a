/** The agent's VM commands against a real libvirt and a real, emulated guest. Needs root; each host is its own namespaces. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { CloudError, newUuid, waitFor } from '#kernel'
import { booted, guestImage, MIB, makeRoot, statesOf, vmOf } from './kvm-agent/guest.ts'
import { startTestHost, type TestHost } from './kvm-agent/test-host.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root'

describe('the VM commands of a KVM host agent', { skip }, () => {
  let image: string
  let shared: string
  let a: TestHost

  before(async () => {
    image = await guestImage()
    shared = mkdtempSync('/dev/shm/lv-')
    a = await startTestHost('lva', shared)
  })
  after(async () => {
    await a?.dispose()
    if (shared !== undefined) rmSync(shared, { recursive: true, force: true })
  })

  describe('host', () => {
    test('tells its facts', async () => {
      const facts = await a.call('hostFacts', {})
      assert.equal(facts.hostname, 'lva')
      assert.match(facts.libvirtVersion, /^\d+\.\d+\.\d+$/)
      assert.match(facts.qemuVersion, /^\d+\.\d+\.\d+$/)
      assert.deepEqual(facts.interfaces, ['eth1', 'eth1-far'])
      const capacity = await a.call('hostCapacity', {})
      assert.ok(capacity.usedMemoryBytes > 0 && capacity.usedMemoryBytes < facts.totalMemoryBytes)
      assert.equal((await a.call('hostPing', {})).bootId, facts.bootId)
    })

    test('finds out whether acceleration works, and remembers it', async () => {
      const first = await a.call('probeAcceleration', {})
      assert.ok(first.reason.length > 0)
      assert.equal(
        JSON.parse(readFileSync(`${a.directory}/run/zstack/acceleration.json`, 'utf8')).reason,
        first.reason,
      )
      assert.deepEqual(await a.call('probeAcceleration', {}), first)
    })
  })

  describe('a VM', () => {
    const vm = vmOf(`web "'<>&]]> \u0001 one`)
    const { vmUuid } = vm

    test('starts, and a repeat leaves it alone', async () => {
      await makeRoot(a, vm, image)
      assert.deepEqual(await a.call('startVm', { vm }), { state: 'Running' })
      assert.deepEqual(statesOf(a, vmUuid), ['Running'])
      assert.deepEqual(await a.call('startVm', { vm }), { state: 'Running' })
      assert.deepEqual((await a.call('listVms', {})).vms, [{ vmUuid, state: 'Running' }])
      const info = await a.call('vmInfo', { vmUuid })
      assert.deepEqual(info.disks, [{ path: vm.disks[0]?.installPath, target: 'vda', cacheMode: 'none' }])
      assert.equal(info.cpuNum, 1)
      assert.equal(info.memoryBytes, 128 * MIB)
      await booted(a, vm)
    })

    test('shows its console once for each time it is opened', async () => {
      const { socketPath } = await a.call('consoleInfo', { vmUuid })
      assert.match(socketPath, /vnc\.sock$/)
      const greeting = await talk(`${shared}/lva.sock`, `/console/${vmUuid}\n`, 'RFB 003.008\n')
      assert.equal(greeting, 'ok\nRFB 003.008\n')
      assert.match(await talk(`${shared}/lva.sock`, `/console/${vmUuid}\n`, '}\n'), /call vm\.console first/)
    })

    test('runs on while the agent is dead', async () => {
      await a.killAgent()
      const pid = (await a.run('pgrep', '-f', `guest=${vmUuid}`)).trim()
      await a.startAgent()
      assert.deepEqual((await a.call('listVms', {})).vms, [{ vmUuid, state: 'Running' }])
      assert.equal((await a.run('pgrep', '-f', `guest=${vmUuid}`)).trim(), pid)
    })

    test('is found again after libvirtd was killed', async () => {
      await a.run('sh', '-c', 'kill -9 $(cat /run/libvirtd.test-pid)')
      const vms = await waitFor('libvirtd to be back', async () => (await a.call('listVms', {})).vms)
      assert.deepEqual(vms, [{ vmUuid, state: 'Running' }])
    })

    test('tells what happened while libvirtd was away', async () => {
      await a.run('touch', '/run/no-libvirtd')
      await a.run('sh', '-c', 'kill -9 $(cat /run/libvirtd.test-pid)')
      await assert.rejects(a.call('listVms', {}), /is libvirtd running on this host\?/)
      a.events.length = 0
      await a.run('pkill', '-9', '-f', `guest=${vmUuid}`)
      await a.run('rm', '/run/no-libvirtd')
      await waitFor('the news', () => statesOf(a, vmUuid).includes('Stopped!'))
      assert.equal((await a.call('vmInfo', { vmUuid })).state, 'Stopped')
    })

    test('starts again, reboots and stops by ACPI', async () => {
      a.events.length = 0
      await a.call('startVm', { vm })
      await booted(a, vm, 2)
      assert.deepEqual(await a.call('rebootVm', { vm, graceMs: 20_000 }), { state: 'Running' })
      await booted(a, vm, 3)
      assert.deepEqual(await a.call('stopVm', { vmUuid, graceMs: 20_000 }), {
        state: 'Stopped',
        forced: false,
      })
      assert.deepEqual(await a.call('stopVm', { vmUuid, graceMs: 20_000 }), {
        state: 'Stopped',
        forced: false,
      })
      const expected = ['Running', 'Stopped/shutdown', 'Running', 'Stopped/shutdown']
      assert.deepEqual(statesOf(a, vmUuid), expected)
      assert.equal((await a.run('virsh', '-q', 'list', '--all', '--name')).trim(), '')
    })

    test('loses its power when told so, and a guest that dies is told at once', async () => {
      a.events.length = 0
      await a.call('startVm', { vm, paused: true })
      assert.deepEqual(await a.call('stopVm', { vmUuid, graceMs: 0 }), { state: 'Stopped', forced: true })
      await a.call('startVm', { vm })
      const killedAtMs = Date.now()
      await a.run('pkill', '-9', '-f', `guest=${vmUuid}`)
      await waitFor('the death to be told', () => statesOf(a, vmUuid).includes('Stopped/crashed!'))
      assert.ok(Date.now() - killedAtMs < 1000)
      assert.deepEqual(await a.call('destroyVm', { vmUuid }), { state: 'Stopped' })
    })

    test('that cannot start says why, in the words of libvirt', async () => {
      const broken = vmOf('broken')
      const error = await a.call('startVm', { vm: broken }).catch((e) => e)
      assert.ok(error instanceof CloudError)
      assert.match(
        error.details,
        new RegExp(`start VM ${broken.vmUuid}.*${broken.disks[0]?.installPath}.*No such file`),
      )
    })
  })

  test('each of many failures at the same time has its own reason', async () => {
    const vms = Array.from({ length: 40 }, (_, i) => vmOf(`broken ${i}`))
    const errors = await Promise.all(vms.map((vm) => a.call('startVm', { vm }).catch((e) => e)))
    for (const [i, vm] of vms.entries()) {
      assert.ok(errors[i] instanceof CloudError)
      assert.ok(errors[i].details.includes(`${vm.disks[0]?.installPath}`), errors[i].details)
    }
  })

  test('domains of others are listed and left alone', async () => {
    const uuid = newUuid()
    const dashed = uuid.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
    const xml = `<domain type='qemu'><name>${uuid}</name><uuid>${dashed}</uuid><memory unit='MiB'>16</memory>
    <os><type>hvm</type></os></domain>`
    await a.run('sh', '-c', `cat > /run/foreign.xml <<'E'\n${xml}\nE\nvirsh -q create /run/foreign.xml`)
    await assert.rejects(
      a.call('destroyVm', { vmUuid: uuid }),
      /was not made by this agent; it is left alone/,
    )
    await assert.rejects(a.call('stopVm', { vmUuid: uuid, graceMs: 0 }), /left alone/)
    await a.run('virsh', '-q', 'destroy', uuid)
    await a.run(
      'sh',
      '-c',
      `sed -i 's|<name>.*</name>|<name>theirs</name>|' /run/foreign.xml; virsh -q create /run/foreign.xml`,
    )
    assert.deepEqual(await a.call('listVms', {}), { vms: [], unknown: ['theirs'] })
    await a.run('virsh', '-q', 'destroy', 'theirs')
  })
})

/** Connects, says `hello`, and gives everything up to `end`. */
function talk(path: string, hello: string, end: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(hello))
    let text = ''
    socket.on('data', (data) => {
      text += data
      if (!text.endsWith(end)) return
      socket.destroy()
      resolve(text)
    })
    socket.on('error', reject)
    socket.on('end', () => resolve(text))
  })
}
