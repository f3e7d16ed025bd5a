import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { CallContext, CallInput } from '#agent-rpc'
import type { addFlatLeases } from '#agents/kvm-host/contract/network.ts'
import { createNetworkHandlers, type NetworkArea } from '#agents/kvm-host/network/create-network-handlers.ts'
import type { Run } from '#agents/kvm-host/network/run-command.ts'
import { silentLogger } from '#kernel'
import { type LabVm, NetworkLab } from './network-lab.ts'

type AddLeases = CallInput<typeof addFlatLeases>

const context: CallContext = {
  callId: 'c',
  taskId: undefined,
  epoch: 0,
  signal: new AbortController().signal,
  progress() {},
}
const L3 = 'c1b2c3d4e5f64a7b8c9d0e1f2a3b4c5d'
const SHORT = L3.slice(0, 11)
const network: Omit<AddLeases, 'leases'> = {
  l3NetworkUuid: L3,
  bridge: 'br_eth0',
  physicalInterface: 'eth0',
  dhcpServerIp: '10.98.1.2',
  netmask: '255.255.255.0',
  gateway: '10.98.1.1',
  dns: [],
}
const bridge = { bridge: 'br_eth0', physicalInterface: 'eth0', l2NetworkUuid: L3 }

describe('flat network after accidents', { skip: process.getuid?.() === 0 ? false : 'needs root' }, () => {
  let lab: NetworkLab
  let agent: NetworkArea
  let vm: LabVm
  let wanted: AddLeases
  let clean: string

  before(async () => {
    lab = await NetworkLab.create('znr')
    agent = lab.agent('A')
    lab.scope.onDispose(() => agent.dispose())
    await agent.handlers.createBridge(bridge, context)
    vm = await lab.vm(1, 'A', 'br_eth0')
    const lease = { vmUuid: 'd'.repeat(32), mac: vm.mac, ip: '10.98.1.11', tap: vm.tap, isDefault: true }
    wanted = { ...network, leases: [{ ...lease, userData: 'mine' }] }
    clean = await lab.snapshot('A')
  })

  after(async () => {
    await agent?.handlers.deleteFlatNetwork({ l3NetworkUuid: L3 }, context)
    await lab?.scope.dispose()
  })

  async function assertServed(): Promise<void> {
    assert.equal((await lab.lease(vm))?.ip, '10.98.1.11/24')
    assert.equal(await lab.request(vm, '/latest/user-data'), '200 mine')
  }

  async function restartAgent(): Promise<void> {
    await agent.dispose()
    agent = lab.agent('A')
    await agent.reconcileNetwork()
  }

  /** An agent whose command number `last` and all later ones fail, as if it had been killed before it. */
  function dyingAgent(last: number): { area: NetworkArea; ran: () => number } {
    let ran = 0
    const run: Run = (argv, options) => {
      ran += 1
      return ran < last ? lab.host('A')(argv, options) : Promise.reject(new Error('killed'))
    }
    const namespacePrefix = `${lab.prefix}A-`
    const stateRoot = join(lab.dir, 'A')
    return {
      area: createNetworkHandlers({ log: silentLogger, run, stateRoot, namespacePrefix }),
      ran: () => ran,
    }
  }

  it('mends an apply that died before any of its commands', async () => {
    let last = 1
    for (; ; last += 1) {
      await agent.handlers.deleteFlatNetwork({ l3NetworkUuid: L3 }, context)
      const { area, ran } = dyingAgent(last)
      const outcome = await area.handlers.applyFlatNetwork(wanted, context).then(() => 'done', String)
      await area.dispose()
      if (ran() < last) {
        assert.equal(outcome, 'done')
        break
      }
      assert.match(outcome, /killed/)
      await agent.handlers.applyFlatNetwork(wanted, context)
      assert.deepEqual(
        await agent.handlers.applyFlatNetwork(wanted, context),
        { changed: false },
        `died at ${last}`,
      )
    }
    assert.ok(last > 10, `an apply runs only ${last} commands`)
    await restartAgent()
    await assertServed()
  })

  it('completes a delete that died before any of its commands', async () => {
    let last = 1
    for (; ; last += 1) {
      await agent.handlers.applyFlatNetwork(wanted, context)
      await agent.dispose()
      const { area, ran } = dyingAgent(last)
      const outcome = await area.handlers
        .deleteFlatNetwork({ l3NetworkUuid: L3 }, context)
        .then(() => 'done', String)
      await area.dispose()
      agent = lab.agent('A')
      if (ran() >= last) assert.match(outcome, /killed/)
      await agent.handlers.deleteFlatNetwork({ l3NetworkUuid: L3 }, context)
      assert.equal(await lab.snapshot('A'), clean, `died at ${last}`)
      if (ran() < last) break
    }
    assert.ok(last > 4, `a delete runs only ${last} commands`)
  })

  it('makes anew what somebody removed', async () => {
    await agent.handlers.applyFlatNetwork(wanted, context)
    const host = lab.host('A')
    await host(['ip', 'link', 'del', 'dev', `zs${SHORT}`])
    await host(['nft', 'delete', 'table', 'bridge', `zs_${SHORT}`])
    assert.deepEqual(await agent.handlers.applyFlatNetwork(wanted, context), { changed: true })
    await assertServed()
    await host(['ip', 'netns', 'del', `${lab.prefix}A-${SHORT}`])
    assert.deepEqual(await agent.handlers.applyFlatNetwork(wanted, context), { changed: true })
    await assertServed()
  })

  it('gives an address that was in use to another VM', async () => {
    const next = await lab.vm(2, 'A', 'br_eth0')
    await agent.handlers.removeFlatLeases({ l3NetworkUuid: L3, macs: [vm.mac] }, context)
    const lease = { vmUuid: 'e'.repeat(32), mac: next.mac, ip: '10.98.1.11', isDefault: true }
    await agent.handlers.addFlatLeases({ ...network, leases: [lease] }, context)
    assert.equal((await lab.lease(next))?.ip, '10.98.1.11/24')
    assert.match(await lab.request(next, '/latest/user-data'), /^404/)
    await lab.host('A')(['ip', 'link', 'del', 'dev', next.tap])
  })

  it('drops what nobody remembers when it starts', async () => {
    await agent.handlers.applyFlatNetwork(wanted, context)
    await agent.dispose()
    await rm(join(lab.dir, 'A', 'flat', L3), { recursive: true })
    agent = lab.agent('A')
    await agent.reconcileNetwork()
    assert.equal(await lab.snapshot('A'), clean)
  })

  it('starts without the bridge and serves once it is there', async () => {
    await agent.handlers.applyFlatNetwork(wanted, context)
    await lab.host('A')(['ip', 'link', 'del', 'dev', 'br_eth0'])
    await restartAgent()
    assert.equal(await lab.request(vm, '/latest/user-data'), 'none')
    await agent.handlers.createBridge(bridge, context)
    await lab.host('A')(['ip', 'link', 'set', 'dev', vm.tap, 'master', 'br_eth0', 'up'])
    await agent.handlers.applyFlatNetwork(wanted, context)
    await assertServed()
  })
})
