import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  hostCapacity,
  hostFacts,
  hostPing,
  listVms,
  probeAcceleration,
} from '#agents/kvm-host/contract/host.ts'
import { type GetKvmHost, testTimeout } from './kvm-host-fixture.ts'

export function declareBasicsTests(getHost: GetKvmHost): void {
  describe('facts', testTimeout, () => {
    it('tells what the host is, the same each time', async () => {
      const { client, physicalInterface } = getHost()
      const facts = await client.call(hostFacts, {})
      assert.ok(facts.hostname !== '' && facts.cpuModel !== '' && facts.osDistribution !== '')
      assert.match(facts.libvirtVersion, /^\d+\.\d+\.\d+$/)
      assert.match(facts.qemuVersion, /^\d+\.\d+\.\d+$/)
      assert.ok(facts.cpuNum >= 1 && facts.cpuSockets >= 1)
      assert.ok(facts.interfaces.includes(physicalInterface), `interfaces: ${facts.interfaces.join(', ')}`)
      assert.ok(facts.bootedAt <= Date.now())
      // The time of the boot may be counted back from now, so it shakes a little.
      const again = await client.call(hostFacts, {})
      assert.ok(Math.abs(again.bootedAt - facts.bootedAt) < 60_000)
      assert.deepEqual({ ...again, bootedAt: facts.bootedAt }, facts)
    })

    it('answers a ping with the boot and the agent of the facts', async () => {
      const { client } = getHost()
      const facts = await client.call(hostFacts, {})
      const ping = await client.call(hostPing, {})
      assert.equal(ping.bootId, facts.bootId)
      assert.equal(ping.agentVersion, facts.agentVersion)
      assert.equal((await client.call(hostPing, {})).agentStartedAt, ping.agentStartedAt)
    })

    it('tells memory in use, no more than there is', async () => {
      const { client } = getHost()
      const { totalMemoryBytes } = await client.call(hostFacts, {})
      const capacity = await client.call(hostCapacity, {})
      assert.equal(capacity.totalMemoryBytes, totalMemoryBytes)
      assert.ok(capacity.usedMemoryBytes >= 0 && capacity.usedMemoryBytes <= totalMemoryBytes)
    })

    it('finds out about acceleration, with a reason, the same each time', async () => {
      const { client } = getHost()
      const probe = await client.call(probeAcceleration, {})
      assert.ok(['kvm', 'tcg'].includes(probe.acceleration))
      assert.notEqual(probe.reason, '')
      assert.equal((await client.call(probeAcceleration, {})).acceleration, probe.acceleration)
    })

    it('has no VM in the beginning', async () => {
      assert.deepEqual((await getHost().client.call(listVms, {})).vms, [])
    })
  })
}
