import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { CallContext, CallInput } from '#agent-rpc'
import type { addFlatLeases } from '#agents/kvm-host/contract/network.ts'
import type { NetworkArea } from '#agents/kvm-host/network/create-network-handlers.ts'
import { runCommand } from '#agents/kvm-host/network/run-command.ts'
import { waitFor } from '#kernel'
import { type HostName, type LabVm, NetworkLab, parseLease, runIn } from './network-lab.ts'

type AddLeases = CallInput<typeof addFlatLeases>
type Lease = AddLeases['leases'][number]

const context: CallContext = {
  callId: 'c',
  taskId: undefined,
  epoch: 0,
  signal: new AbortController().signal,
  progress() {},
}
const L3 = 'a1b2c3d4e5f64a7b8c9d0e1f2a3b4c5d'
const L3_OTHER = 'b1b2c3d4e5f64a7b8c9d0e1f2a3b4c5d'
const onEth0: Omit<AddLeases, 'leases'> = {
  l3NetworkUuid: L3,
  bridge: 'br_eth0',
  physicalInterface: 'eth0',
  dhcpServerIp: '10.98.1.2',
  netmask: '255.255.255.0',
  gateway: '10.98.1.1',
  dns: ['10.98.1.2', '9.9.9.9'],
  domain: 'zs.local',
  mtu: 1450,
}
const onEth1 = { ...onEth0, l3NetworkUuid: L3_OTHER, bridge: 'br_eth1', physicalInterface: 'eth1' }

function leaseOf(vm: LabVm, ip: string, more: Partial<Lease> = {}): Lease {
  return { vmUuid: `${vm.mac.slice(-1)}`.repeat(32), mac: vm.mac, ip, tap: vm.tap, isDefault: true, ...more }
}

const bridgeCall = (number: number) => ({
  bridge: `br_eth${number}`,
  physicalInterface: `eth${number}`,
  l2NetworkUuid: L3,
})

async function pidOf(lab: NetworkLab, host: HostName, l3 = L3): Promise<number> {
  return Number(await readFile(join(lab.dir, host, 'flat', l3, 'dnsmasq.pid'), 'utf8'))
}

describe('flat network on two hosts', { skip: process.getuid?.() === 0 ? false : 'needs root' }, () => {
  let lab: NetworkLab
  let a: NetworkArea
  let b: NetworkArea
  let vm1: LabVm
  let vm2: LabVm
  const untouched: Partial<Record<HostName, string>> = {}

  before(async () => {
    lab = await NetworkLab.create('zn')
    a = lab.agent('A')
    b = lab.agent('B')
    lab.scope.onDispose(() => a.dispose())
    lab.scope.onDispose(() => b.dispose())
    for (const host of ['A', 'B'] as const) untouched[host] = await lab.snapshot(host)
    for (const area of [a, b]) {
      for (const number of [0, 1]) await area.handlers.createBridge(bridgeCall(number), context)
    }
  })

  after(async () => {
    // Whatever failed above: dnsmasqs are no children of ours and must not outlive the test.
    for (const area of [a, b]) {
      for (const l3NetworkUuid of [L3, L3_OTHER])
        await area?.handlers.deleteFlatNetwork({ l3NetworkUuid }, context)
    }
    await lab?.scope.dispose()
  })

  it('refuses a bridge that is not there', async () => {
    const nowhere = { ...onEth0, bridge: 'br_none', leases: [] }
    await assert.rejects(a.handlers.applyFlatNetwork(nowhere, context), /br_none does not exist on this host/)
    await a.handlers.deleteFlatNetwork({ l3NetworkUuid: L3 }, context)
  })

  it('gives local VMs their lease with the right options and keeps all of it off the underlay', async () => {
    const watch = `table bridge watch { chain c { type filter hook prerouting priority -400
      udp dport { 67, 68 } counter comment "dhcp"
      arp daddr ip { 10.98.1.2, 169.254.169.254 } counter comment "arp"
      ip daddr 169.254.169.254 counter comment "metadata"
      icmp type echo-request counter comment "control"
      }
      }
      `
    await runIn('znU')(['nft', '-f', '-'], { input: watch })
    vm1 = await lab.vm(1, 'A', 'br_eth0')
    vm2 = await lab.vm(2, 'B', 'br_eth0')
    const one = leaseOf(vm1, '10.98.1.11', {
      hostname: 'ignore',
      userData: '#cloud-config\nsecret: one\n',
      metadata: { 'instance-type': 'small', 'public-keys/0/openssh-key': 'ssh-ed25519 AAAA me' },
    })
    assert.deepEqual(await a.handlers.addFlatLeases({ ...onEth0, leases: [one] }, context), { changed: true })
    assert.deepEqual(await a.handlers.addFlatLeases({ ...onEth0, leases: [one] }, context), {
      changed: false,
    })
    const two = leaseOf(vm2, '10.98.1.12', { isDefault: false })
    await b.handlers.addFlatLeases({ ...onEth0, leases: [two] }, context)
    assert.deepEqual(await lab.lease(vm1), {
      event: 'bound',
      ip: '10.98.1.11/24',
      router: '10.98.1.1',
      dns: '10.98.1.2 9.9.9.9',
      host: 'ignore',
      domain: 'zs.local',
      mtu: '1450',
      server: '10.98.1.2',
      routes: '169.254.169.254/32 10.98.1.2 0.0.0.0/0 10.98.1.1',
    })
    // A second NIC of a VM: address and MTU, and nothing that would fight with the first one's.
    const second = { ip: '10.98.1.12/24', router: '', dns: '', host: '', domain: '', mtu: '1450', routes: '' }
    assert.deepEqual(await lab.lease(vm2), { event: 'bound', server: '10.98.1.2', ...second })
    const names = await runIn(vm1.namespace)(['busybox', 'nslookup', 'ignore.zs.local', '10.98.1.2'])
    assert.match(names.stdout, /10\.98\.1\.11/)
    await runIn(vm1.namespace)(['ping', '-c1', '-W2', '10.98.1.12'])
  })

  it('answers nobody it does not know', async () => {
    const stranger = await lab.vm(3, 'A', 'br_eth0')
    assert.equal(await lab.lease(stranger), undefined)
    await runIn(stranger.namespace)(['ip', 'addr', 'add', '10.98.1.33/24', 'dev', 'eth0'])
    await runIn(stranger.namespace)(['ip', 'route', 'add', '169.254.169.254', 'dev', 'eth0'])
    assert.equal(await lab.request(stranger, '/latest/user-data'), 'none')
    // Not even with the address and MAC of another VM.
    await runIn(stranger.namespace)(['ip', 'link', 'set', 'eth0', 'address', vm1.mac])
    await runIn(stranger.namespace)(['ip', 'addr', 'replace', '10.98.1.11/32', 'dev', 'eth0'])
    const route = ['route', 'replace', '169.254.169.254', 'dev', 'eth0', 'src', '10.98.1.11']
    await runIn(stranger.namespace)(['ip', ...route])
    assert.equal(await lab.request(stranger, '/latest/user-data'), 'none')
    await lab.host('A')(['ip', 'link', 'del', 'dev', stranger.tap])
  })

  it('serves each VM its own metadata', async () => {
    assert.equal(await lab.request(vm1, '/latest/user-data'), '200 #cloud-config\nsecret: one\n')
    assert.equal(await lab.request(vm1, '/2009-04-04/meta-data/local-ipv4'), '200 10.98.1.11')
    assert.equal(await lab.request(vm1, '/latest/meta-data/public-keys/'), '200 0=key-0')
    const token = { method: 'PUT', headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '60' } }
    assert.match(await lab.request(vm1, '/latest/api/token', token), /^200 \S{40,}$/)
    await b.handlers.addFlatLeases({ ...onEth0, leases: [leaseOf(vm2, '10.98.1.12')] }, context)
    await lab.lease(vm2)
    assert.match(await lab.request(vm2, '/latest/user-data'), /^404/)
    assert.equal(await lab.request(vm2, '/latest/meta-data/instance-id'), `200 ${'2'.repeat(32)}`)
  })

  it('reaches the metadata of a guest that knows only a default gateway', async () => {
    const run = runIn(vm2.namespace)
    await run(['ip', 'route', 'flush', '169.254.169.254'])
    await run(['ip', 'neigh', 'replace', '10.98.1.1', 'lladdr', 'fa:99:99:99:99:99', 'dev', 'eth0'])
    assert.match((await run(['ip', 'route', 'get', '169.254.169.254'])).stdout, /via 10\.98\.1\.1/)
    assert.equal(await lab.request(vm2, '/latest/meta-data/local-ipv4'), '200 10.98.1.12')
  })

  it('serves on while the agent is away and takes over when it is back', async () => {
    const pid = await pidOf(lab, 'A')
    await a.dispose()
    assert.equal((await lab.lease(vm1))?.ip, '10.98.1.11/24')
    assert.match(await lab.request(vm1, '/latest/user-data'), /^none$/)
    a = lab.agent('A')
    await a.reconcileNetwork()
    assert.equal(await lab.request(vm1, '/latest/user-data'), '200 #cloud-config\nsecret: one\n')
    assert.equal(await pidOf(lab, 'A'), pid)
    process.kill(pid, 'SIGKILL')
    await waitFor(
      'dnsmasq to die',
      async () =>
        (await runCommand(['ps', '-o', 'stat=', '-p', String(pid)], { okCodes: [1] })).stdout
          .replace(/Z.*/, '')
          .trim() === '',
    )
    await a.reconcileNetwork()
    assert.equal((await lab.lease(vm1))?.ip, '10.98.1.11/24')
  })

  it('lets a moved VM renew at once', async () => {
    const { child, output } = lab.stayingClient(vm1)
    const leases = () =>
      output()
        .split('\n')
        .filter((line) => line.startsWith('LEASE '))
        .map(parseLease)
    await waitFor('the first lease', () => leases().length === 1)
    await b.handlers.addFlatLeases(
      { ...onEth0, leases: [leaseOf(vm1, '10.98.1.11', { userData: 'on B', hostname: 'ignore' })] },
      context,
    )
    await lab.moveVm(vm1, 'A', 'B', 'br_eth0')
    await a.handlers.removeFlatLeases({ l3NetworkUuid: L3, macs: [vm1.mac] }, context)
    child.kill('SIGUSR1')
    await waitFor('a renewed lease', () => leases().length === 2)
    assert.deepEqual(leases()[1], { ...leases()[0], event: 'renew' })
    assert.equal(await lab.request(vm1, '/latest/user-data'), '200 on B')
    child.kill('SIGKILL')
    const counters = (await runIn('znU')(['nft', 'list', 'table', 'bridge', 'watch'])).stdout
    for (const what of ['dhcp', 'arp', 'metadata'])
      assert.match(counters, new RegExp(`packets 0 bytes 0 comment "${what}"`))
    assert.doesNotMatch(counters, /packets 0 bytes 0 comment "control"/)
  })

  it('keeps networks with the same addresses apart on one host', async () => {
    const vm4 = await lab.vm(4, 'B', 'br_eth1')
    const same = leaseOf(vm4, '10.98.1.11', { userData: 'the other network', hostname: 'four' })
    await b.handlers.addFlatLeases({ ...onEth1, leases: [same] }, context)
    assert.equal((await lab.lease(vm4))?.host, 'four')
    assert.equal(await lab.request(vm4, '/latest/user-data'), '200 the other network')
    assert.equal(await lab.request(vm1, '/latest/user-data'), '200 on B')
  })

  it('starts a hundred VMs with few restarts', async () => {
    const seen = lab.commands.A
    seen.length = 0
    const calls = Array.from({ length: 100 }, (_, i) => {
      const mac = `fa:00:00:00:01:${i.toString(16).padStart(2, '0')}`
      const lease = {
        vmUuid: 'c'.repeat(32),
        mac,
        ip: `10.98.1.${100 + i}`,
        isDefault: true,
        hostname: `vm-${i}`,
      }
      return a.handlers.addFlatLeases({ ...onEth0, leases: [lease] }, context)
    })
    await Promise.all(calls)
    const starts = seen.filter((command) => command.includes('dnsmasq --conf-file'))
    assert.ok(starts.length <= 2, `dnsmasq was started ${starts.length} times`)
    const config = await readFile(join(lab.dir, 'A', 'flat', L3, 'dnsmasq.conf'), 'utf8')
    assert.equal(config.match(/^dhcp-host=/gm)?.length, 100)
  })

  it('leaves nothing when all is deleted', async () => {
    await assert.rejects(b.handlers.deleteBridge(bridgeCall(0), context), /br_eth0 is in use by .*vnic/)
    const macs = [vm1.mac, vm2.mac]
    assert.deepEqual(await b.handlers.removeFlatLeases({ l3NetworkUuid: L3, macs }, context), {
      changed: true,
    })
    assert.deepEqual(await a.handlers.deleteFlatNetwork({ l3NetworkUuid: L3 }, context), { deleted: true })
    assert.deepEqual(await b.handlers.deleteFlatNetwork({ l3NetworkUuid: L3_OTHER }, context), {
      deleted: true,
    })
    assert.deepEqual(await b.handlers.deleteFlatNetwork({ l3NetworkUuid: L3_OTHER }, context), {
      deleted: false,
    })
    for (const number of [1, 2, 4])
      await runCommand(['ip', 'netns', 'exec', `znv${number}`, 'ip', 'link', 'del', 'eth0'])
    for (const area of [a, b]) {
      for (const number of [0, 1]) await area.handlers.deleteBridge(bridgeCall(number), context)
    }
    for (const host of ['A', 'B'] as const) assert.equal(await lab.snapshot(host), untouched[host])
  })
})
