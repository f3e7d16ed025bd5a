import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { CallInput } from '#agent-rpc'
import {
  addFlatLeases,
  applyFlatNetwork,
  createBridge,
  deleteBridge,
  deleteFlatNetwork,
  removeFlatLeases,
} from '#agents/kvm-host/contract/network.ts'
import { newUuid, sysErrors } from '#kernel'
import { conformanceBridge, type GetKvmHost, nicOf, refused, testTimeout } from './kvm-host-fixture.ts'

type FlatNetwork = CallInput<typeof applyFlatNetwork>
type Lease = FlatNetwork['leases'][number]

export function declareNetworkTests(getHost: GetKvmHost): void {
  declareBridgeTests(getHost)
  declareFlatTests(getHost)
}

function declareBridgeTests(getHost: GetKvmHost): void {
  describe('bridges', testTimeout, () => {
    it('makes a bridge once and removes it once', async () => {
      const { client, physicalInterface } = getHost()
      const bridge = conformanceBridge
      const input = { bridge, physicalInterface, l2NetworkUuid: newUuid() }
      assert.deepEqual(await client.call(createBridge, input), { created: true })
      assert.deepEqual(await client.call(createBridge, input), { created: false })
      assert.deepEqual(await client.call(deleteBridge, { bridge, physicalInterface }), { deleted: true })
      assert.deepEqual(await client.call(deleteBridge, { bridge, physicalInterface }), { deleted: false })
    })

    it('refuses an interface that does not exist', async () => {
      const { client } = getHost()
      const input = { bridge: 'br_zsnone', physicalInterface: 'zsnone0', l2NetworkUuid: newUuid() }
      await refused('a bridge on no interface', client.call(createBridge, input))
      const { bridge, physicalInterface } = input
      assert.deepEqual(await client.call(deleteBridge, { bridge, physicalInterface }), { deleted: false })
    })
  })
}

function declareFlatTests(getHost: GetKvmHost): void {
  describe('flat network', testTimeout, () => {
    const bridge = conformanceBridge
    const l3NetworkUuid = newUuid()
    const [one, two] = [leaseOf(1, 'one'), leaseOf(2, 'two')]
    const network = (leases: Lease[]): FlatNetwork => ({
      l3NetworkUuid,
      bridge,
      physicalInterface: getHost().physicalInterface,
      dhcpServerIp: '10.213.77.2',
      netmask: '255.255.255.0',
      gateway: '10.213.77.1',
      dns: ['10.213.77.3'],
      leases,
    })
    const apply = async (...leases: Lease[]) =>
      (await getHost().client.call(applyFlatNetwork, network(leases))).changed
    const add = async (...leases: Lease[]) =>
      (await getHost().client.call(addFlatLeases, network(leases))).changed
    const remove = async (...macs: string[]) =>
      (await getHost().client.call(removeFlatLeases, { l3NetworkUuid, macs })).changed
    const removeAll = async () => (await getHost().client.call(deleteFlatNetwork, { l3NetworkUuid })).deleted

    before(async () => {
      const { client, physicalInterface } = getHost()
      await client.call(createBridge, { bridge, physicalInterface, l2NetworkUuid: newUuid() })
    })
    after(async () => {
      const { client, physicalInterface } = getHost()
      await removeAll()
      await client.call(deleteBridge, { bridge, physicalInterface })
    })

    it('says that what never was is not there', async () => {
      assert.equal(await remove(one.mac), false)
      assert.equal(await removeAll(), false)
    })

    it('applies the whole set, and a repeat changes nothing', async () => {
      assert.equal(await apply(one, two), true)
      assert.equal(await apply(two, one), false)
      assert.equal(await apply(one), true)
      assert.equal(await remove(two.mac), false)
    })

    it('adds and replaces single leases', async () => {
      assert.equal(await add(two), true)
      assert.equal(await add(two), false)
      assert.equal(await add(leaseOf(2, 'renamed')), true)
      assert.equal(await apply(one, leaseOf(2, 'renamed')), false)
    })

    it('sees a change of metadata and of the network itself', async () => {
      const described = { ...one, metadata: { 'instance-id': one.vmUuid }, userData: '#!/bin/sh\n' }
      assert.equal(await add(described), true)
      assert.equal(await add(described), false)
      const dns = { ...network([described, leaseOf(2, 'renamed')]), dns: ['10.213.77.4'] }
      assert.equal((await getHost().client.call(applyFlatNetwork, dns)).changed, true)
      assert.equal((await getHost().client.call(applyFlatNetwork, dns)).changed, false)
    })

    it('goes with its last lease', async () => {
      assert.equal(await remove(one.mac), true)
      assert.equal(await remove(one.mac), false)
      assert.equal(await remove(two.mac), true)
      assert.equal(await removeAll(), false)
    })

    it('stays ready without leases when told to, until deleted', async () => {
      assert.equal(await apply(), true)
      assert.equal(await apply(), false)
      assert.equal(await remove(one.mac), false)
      assert.equal(await removeAll(), true)
      assert.equal(await removeAll(), false)
    })

    it('moves an address to the MAC it comes with, and refuses one that comes twice', async () => {
      const taker = { ...two, ip: one.ip }
      assert.equal(await apply(one), true)
      assert.equal(await add(taker), true)
      assert.equal(await apply(taker), false)
      const { client } = getHost()
      const twice = client.call(applyFlatNetwork, network([one, taker]))
      await refused('an address of two NICs', twice, sysErrors.invalidArgument.code)
      assert.equal(await apply(taker), false)
    })

    it('is refused on a bridge that does not exist', async () => {
      const { client } = getHost()
      const nowhere = { ...network([one]), bridge: 'br_zsnone', l3NetworkUuid: newUuid() }
      await refused('apply', client.call(applyFlatNetwork, nowhere))
      await refused('add', client.call(addFlatLeases, nowhere))
      // An agent may remember what it could not do yet; told to forget, it does.
      const { l3NetworkUuid: uuid } = nowhere
      await client.call(deleteFlatNetwork, { l3NetworkUuid: uuid })
      assert.deepEqual(await client.call(deleteFlatNetwork, { l3NetworkUuid: uuid }), { deleted: false })
    })
  })
}

function leaseOf(number: number, hostname: string): Lease {
  const { mac, ip } = nicOf(number)
  return { vmUuid: `${number}`.repeat(32), mac, ip, hostname, isDefault: true }
}
