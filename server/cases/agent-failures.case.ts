import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { AgentTransport } from '#agent-deploy'
import { type AgentConnection, createAgentClient, createAuthority } from '#agent-rpc'
import { createSimulatedHost, type SimulatedHost } from '#agents/simulator/kvm-host.ts'
import { CloudError, silentLogger, waitFor } from '#kernel'
import type { Plugin } from '#plugin-host'
import { createCluster } from '#plugins/cluster/contract/apis.ts'
import { queryHost } from '#plugins/host/contract/apis.ts'
import { addKVMHost } from '#plugins/kvm/contract/apis.ts'
import { createKvmPlugin } from '#plugins/kvm/plugin.ts'
import { attachL2NetworkToCluster } from '#plugins/l2-network/contract/cluster-apis.ts'
import { attachPrimaryStorageToCluster } from '#plugins/primary-storage/contract/cluster-apis.ts'
import { createVmInstance, queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance, expungeVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { allPlugins } from '#server/plugins.ts'
import { audit, buildDataCenter, createTestCloud, inventoryOf, type TestCloud } from '#testkit'
import { type Fault, faults, type HostileAgent, startHostileAgent } from './hostile-wire.ts'

// Of the one call that is never answered in time; it has to arrive within it, also on a busy machine.
const SHORT_DEADLINE_MS = 1_000
const MANAGEMENT_IP = '10.8.0.1'

describe('an agent, or the wire to it, that fails in the middle of a workflow', () => {
  let dir: string
  let cloud: TestCloud
  let host: SimulatedHost
  let agent: HostileAgent
  let started = false
  let template: Record<string, unknown>

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'zstack-hostile-'))
    const authority = await createAuthority(join(dir, 'ca'))
    const management = await authority.issueManagement()
    const transport = (): AgentTransport => ({
      deploy: async ({ uuid }) => {
        // A host that is connected again keeps the agent it has.
        if (!started) agent = await startHostileAgent(host, uuid, authority)
        started = true
        return { hostKey: 'SHA256:key', agentVersion: 'v' }
      },
      remove: async () => undefined,
      connect: async ({ uuid }) => {
        const target = { address: '127.0.0.1', port: agent.port, uuid, tls: management, logger: silentLogger }
        return withDeadline(createAgentClient(target), (name) => agent.isLate(name))
      },
      version: async () => 'v',
    })
    const plugins = (simulator: Plugin) =>
      allPlugins(simulator).map((plugin) => (plugin.name === 'kvm' ? createKvmPlugin(transport) : plugin))
    cloud = await createTestCloud({ plugins })
    host = createSimulatedHost({ world: cloud.world, address: MANAGEMENT_IP })
    template = await addHost(cloud)
  })
  after(async () => {
    await cloud.dispose()
    await agent.close()
    await rm(dir, { recursive: true, force: true })
  })

  const vms = () => cloud.query(queryVmInstance)
  const create = async () => inventoryOf(await cloud.call(createVmInstance, template as never))
  /** Nothing is under way, nothing is stuck, and the books are what the host has. */
  const settled = async () => {
    const { db, workflows } = cloud.cloud.context
    await waitFor('everything to be undone', async () => (await workflows.retryStuck()).length === 0)
    // A restart of the agent breaks its event stream: the host is connected anew.
    const isConnected = async () => (await cloud.query(queryHost)).every((row) => row.status === 'Connected')
    await waitFor('the hosts to be connected', isConnected)
    assert.deepEqual(await audit(db, cloud.world), [])
  }
  const remove = async (uuid: string) => {
    await cloud.call(destroyVmInstance, { uuid })
    await cloud.call(expungeVmInstance, { uuid })
    assert.deepEqual([await vms(), host.state.vms.size], [[], 0])
  }

  const duringCreation = ['storage.cache-image', 'storage.create-from-cache', 'flat.add-leases', 'vm.start']
  for (const fault of Object.keys(faults) as Fault[]) {
    for (const name of duringCreation) {
      it(`${fault}, at ${name}: the VM runs, or nothing of it is left`, async () => {
        agent.arm(name, fault)
        const vm = await create().catch((error: unknown) => error)
        assert.ok(agent.isSpent(), `${name} was not called`)
        await settled()
        if (vm instanceof Error) {
          assert.ok(vm instanceof CloudError, String(vm))
          assert.match(vm.details, /\(at step [\w-]+ of vm\.create\)$/)
          assert.deepEqual([await vms(), host.state.vms.size], [[], 0])
          return
        }
        const { uuid } = vm as { uuid: string }
        assert.deepEqual(
          (await vms()).map((row) => row.state),
          ['Running'],
        )
        assert.equal(host.state.vms.get(uuid)?.state, 'Running')
        await remove(uuid)
        await settled()
      })
    }

    it(`${fault}, at the end of a VM: it is Destroyed or runs on, and can be destroyed then`, async () => {
      const { uuid } = await create()
      agent.arm('vm.destroy', fault)
      await cloud.call(destroyVmInstance, { uuid }).catch((error: unknown) => {
        assert.ok(error instanceof CloudError, String(error))
      })
      await settled()
      const [row] = await vms()
      if (row?.state === 'Destroyed') await cloud.call(expungeVmInstance, { uuid })
      else await remove(uuid)
      await settled()
      assert.deepEqual([await vms(), host.state.vms.size], [[], 0])
    })
  }
})

/** The calls that are answered too late have a short deadline; what it costs on a real host is not the question here. */
function withDeadline(client: AgentConnection, isLate: (name: string) => boolean): AgentConnection {
  return {
    ...client,
    call: (call, input, options) => {
      const limit = isLate(call.name) ? { timeoutMs: SHORT_DEADLINE_MS } : {}
      return client.call(call, input, { ...options, ...limit })
    },
  }
}

/** A KVM host beside the simulated one, and what a VM on it is made of. */
async function addHost(cloud: TestCloud): Promise<Record<string, unknown>> {
  const dc = await buildDataCenter(cloud)
  const kvm = { name: 'kvm', zoneUuid: dc.zone, hypervisorType: 'KVM' as const }
  const clusterUuid = inventoryOf(await cloud.call(createCluster, kvm)).uuid
  await cloud.call(attachPrimaryStorageToCluster, { primaryStorageUuid: dc.primaryStorage, clusterUuid })
  await cloud.call(attachL2NetworkToCluster, { l2NetworkUuid: dc.l2, clusterUuid })
  const access = { username: 'root', password: 'p', managementIp: MANAGEMENT_IP }
  const hostUuid = inventoryOf(await cloud.call(addKVMHost, { name: 'k', clusterUuid, ...access })).uuid
  const { image, l3, instanceOffering } = dc
  const parts = { imageUuid: image, l3NetworkUuids: [l3], instanceOfferingUuid: instanceOffering }
  return { name: 'vm', hostUuid, ...parts }
}
