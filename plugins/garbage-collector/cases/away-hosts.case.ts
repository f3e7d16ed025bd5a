import assert from 'node:assert/strict'
import { describe, it, type TestContext, test } from 'node:test'
import type { AgentTransport } from '#agent-deploy'
import { createLocalAgent } from '#agent-rpc'
import { kvmHostCalls } from '#agents/kvm-host/contract/index.ts'
import { createSimulatedHost } from '#agents/simulator/kvm-host.ts'
import { CloudError, sysErrors, waitFor } from '#kernel'
import type { Plugin } from '#plugin-host'
import { createCluster } from '#plugins/cluster/contract/apis.ts'
import { deleteHost, queryHost, reconnectHost } from '#plugins/host/contract/apis.ts'
import { addKVMHost } from '#plugins/kvm/contract/apis.ts'
import { createKvmPlugin } from '#plugins/kvm/plugin.ts'
import { deleteL2Network } from '#plugins/l2-network/contract/apis.ts'
import {
  attachL2NetworkToCluster,
  detachL2NetworkFromCluster,
} from '#plugins/l2-network/contract/cluster-apis.ts'
import { deleteL3Network } from '#plugins/l3-network/contract/apis.ts'
import { detachPrimaryStorageFromCluster } from '#plugins/primary-storage/contract/cluster-apis.ts'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance, expungeVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { allPlugins } from '#server/plugins.ts'
import { buildDataCenter, createTestCloud, type DataCenter, inventoryOf, type TestCloud } from '#testkit'
import { queryGCJob, triggerGCJob } from '../contract/apis.ts'

const silence = () => new CloudError(sysErrors.ioError, 'the host is away')

interface Scene {
  readonly cloud: TestCloud
  readonly dc: DataCenter
  /** The second of two hosts, which has had a VM and goes away. */
  readonly hostUuid: string
  readonly host: ReturnType<typeof simulated>
  goAway(): Promise<void>
  comeBack(): Promise<void>
  jobNames(): Promise<string[]>
  /** The host has a namespace of the network, as one that was cut off while it served. */
  serve(l3NetworkUuid: string): void
}

function simulated(cloud: TestCloud, address: string) {
  const host = cloud.world.hosts.get(address)
  assert.ok(host)
  return host
}

async function arrange(t: TestContext): Promise<Scene> {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const dc = await buildDataCenter(cloud, { hosts: 2 })
  const hostUuid = String(dc.hosts[1])
  const host = simulated(cloud, '10.1.0.2')
  const vm = inventoryOf(
    await cloud.call(createVmInstance, {
      name: 'vm',
      hostUuid,
      imageUuid: dc.image,
      l3NetworkUuids: [dc.l3],
      instanceOfferingUuid: dc.instanceOffering,
    }),
  )
  await cloud.call(destroyVmInstance, { uuid: vm.uuid })
  await cloud.call(expungeVmInstance, { uuid: vm.uuid })
  const status = async () => (await cloud.query(queryHost)).find((row) => row.uuid === hostUuid)?.status
  return {
    cloud,
    dc,
    hostUuid,
    host,
    serve: (uuid) => void host.state.networks.set(uuid, { config: {} as never, leases: new Map() }),
    goAway: async () => {
      host.knobs.failAlways('*', silence())
      await assert.rejects(cloud.call(reconnectHost, { uuid: hostUuid }), /the host is away/)
      assert.equal(await status(), 'Disconnected')
    },
    comeBack: async () => {
      host.knobs.clear()
      await cloud.call(reconnectHost, { uuid: hostUuid })
    },
    jobNames: async () => (await cloud.query(queryGCJob)).map((job) => String(job.name)).sort(),
  }
}

describe('what a host keeps that is away', () => {
  it('bridge and network services go when it is back', async (t) => {
    const { cloud, dc, host, goAway, comeBack, jobNames, serve } = await arrange(t)
    serve(dc.l3)
    await goAway()
    await cloud.call(detachL2NetworkFromCluster, { l2NetworkUuid: dc.l2, clusterUuid: dc.cluster })
    assert.deepEqual(await jobNames(), [
      'the Flat network services of L3 network l3 on host host2',
      'the bridge br_eth1 of L2 network l2 on host host2',
    ])
    assert.deepEqual([host.state.bridges.size, host.state.networks.size], [1, 1])
    await cloud.call(deleteL3Network, { uuid: dc.l3 })
    await cloud.call(deleteL2Network, { uuid: dc.l2 })
    await comeBack()
    await waitFor('the jobs to be done', async () => (await jobNames()).length === 0)
    assert.deepEqual([host.state.bridges.size, host.state.networks.size], [0, 0])
  })

  it('services of a deleted network go when it is back', async (t) => {
    const { cloud, dc, host, goAway, comeBack, jobNames, serve } = await arrange(t)
    serve(dc.l3)
    await goAway()
    await cloud.call(deleteL3Network, { uuid: dc.l3 })
    assert.deepEqual(await jobNames(), ['the Flat network services of L3 network l3 on host host2'])
    await comeBack()
    await waitFor('the job to be done', async () => (await jobNames()).length === 0)
    assert.deepEqual([host.state.bridges.size, host.state.networks.size], [1, 0])
  })

  it('a bridge that is wanted again stays', async (t) => {
    const { cloud, dc, host, goAway, comeBack, jobNames } = await arrange(t)
    await goAway()
    const attachment = { l2NetworkUuid: dc.l2, clusterUuid: dc.cluster }
    await cloud.call(detachL2NetworkFromCluster, attachment)
    await cloud.call(attachL2NetworkToCluster, attachment)
    await comeBack()
    await waitFor('the jobs to be done', async () => (await jobNames()).length === 0)
    assert.deepEqual([...host.state.bridges.keys()], ['br_eth1'])
  })

  it('cached images of a storage that left go when it is back', async (t) => {
    const { cloud, dc, host, goAway, comeBack, jobNames } = await arrange(t)
    const cached = () => host.state.files.list('/zstack_ps').filter(({ path }) => path.includes('imagecache'))
    assert.equal(cached().length, 1)
    await goAway()
    const attachment = { primaryStorageUuid: dc.primaryStorage, clusterUuid: dc.cluster }
    await cloud.call(detachPrimaryStorageFromCluster, attachment)
    assert.deepEqual(await jobNames(), [`the cached image ${cached()[0]?.path} on host host2`])
    await comeBack()
    await waitFor('the job to be done', async () => (await jobNames()).length === 0)
    assert.deepEqual(cached(), [])
  })

  it('a deleted host leaves no job that nobody can do', async (t) => {
    const { cloud, dc, hostUuid, goAway, jobNames } = await arrange(t)
    await goAway()
    await cloud.call(detachL2NetworkFromCluster, { l2NetworkUuid: dc.l2, clusterUuid: dc.cluster })
    await cloud.call(deleteHost, { uuid: hostUuid })
    for (const { uuid } of await cloud.query(queryGCJob))
      await cloud.call(triggerGCJob, { uuid: String(uuid) })
    assert.deepEqual(await jobNames(), [])
  })
})

describe('the agent of a KVM host that is away when it is deleted', () => {
  let away = false
  let removed: string[] = []
  const transport = (): AgentTransport => ({
    deploy: async ({ password }) => {
      if (away) throw silence()
      assert.equal(password, 's3cret')
      return { hostKey: 'SHA256:key', agentVersion: 'v' }
    },
    remove: async ({ address, password, hostKey }) => {
      if (away) throw silence()
      removed.push(`${address} ${password} ${hostKey}`)
    },
    connect: async ({ address }) =>
      createLocalAgent(
        kvmHostCalls,
        createSimulatedHost({ address: `${address}.${Math.random()}` }).handlers,
      ),
    version: async () => 'v',
  })
  const plugins = (simulator: Plugin) =>
    allPlugins(simulator).map((plugin) => (plugin.name === 'kvm' ? createKvmPlugin(transport) : plugin))

  async function withDeletedHost(t: TestContext) {
    away = false
    removed = []
    const cloud = await createTestCloud({ plugins })
    t.after(() => cloud.dispose())
    const { zone: zoneUuid } = await buildDataCenter(cloud)
    const cluster = { name: 'kvm', zoneUuid, hypervisorType: 'KVM' as const }
    const clusterUuid = inventoryOf(await cloud.call(createCluster, cluster)).uuid
    const wanted = { name: 'k1', managementIp: '10.7.0.1', clusterUuid, username: 'root', password: 's3cret' }
    const add = async (more: object = {}) =>
      inventoryOf(await cloud.call(addKVMHost, { ...wanted, ...more })).uuid
    const uuid = await add()
    away = true
    await cloud.call(deleteHost, { uuid })
    const jobs = () => cloud.query(queryGCJob)
    const [job] = await jobs()
    assert.match(String(job?.name), /^the agent of the deleted host k1 at 10\.7\.0\.1; /)
    const rows = await cloud.cloud.context.db.all('SELECT * FROM GarbageCollectorVO', [])
    assert.ok(!JSON.stringify([rows, job]).includes('s3cret'))
    return { cloud, add, uuid, jobs, job: { uuid: String(job?.uuid) } }
  }

  it('is removed by a trigger once it answers, with the access that was sealed', async (t) => {
    const { cloud, jobs, job } = await withDeletedHost(t)
    await assert.rejects(cloud.call(triggerGCJob, job), (error: CloudError) =>
      /the host is away/.test(String(error.cause)),
    )
    away = false
    await cloud.call(triggerGCJob, job)
    assert.deepEqual([removed, await jobs()], [['10.7.0.1 s3cret SHA256:key'], []])
  })

  it('is looked for when a host is connected at its address, after a restart too', async (t) => {
    const { cloud, add, jobs } = await withDeletedHost(t)
    await cloud.restart()
    away = false
    await add({ name: 'k2' })
    await waitFor('the job to be done', async () => (await jobs()).length === 0)
    assert.deepEqual(removed, ['10.7.0.1 s3cret SHA256:key'])
  })

  it('is left alone when the same host is there again', async (t) => {
    const { add, uuid, jobs } = await withDeletedHost(t)
    away = false
    await add({ resourceUuid: uuid })
    await waitFor('the job to be done', async () => (await jobs()).length === 0)
    assert.deepEqual(removed, [])
  })

  it('is not waited for when it never ran there', async (t) => {
    const { cloud, add, jobs } = await withDeletedHost(t)
    const before = await jobs()
    await assert.rejects(add({ managementIp: '10.7.0.99' }), /could not be added: the host is away/)
    assert.deepEqual(await jobs(), before)
    assert.deepEqual(await cloud.cloud.context.workflows.unfinished(), [])
  })
})

test('a rollback whose host is away holds back what it undoes, and is no job', async (t) => {
  let running: TestCloud | undefined
  const cloud = await createTestCloud({
    observe: async ({ step, phase }) => {
      if (step !== 'mark-running' || phase !== 'ran') return
      for (const { knobs } of running?.world.hosts.values() ?? []) knobs.failAlways('*', silence())
      throw new Error('injected')
    },
  })
  running = cloud
  t.after(() => cloud.dispose())
  const dc = await buildDataCenter(cloud)
  const create = cloud.call(createVmInstance, {
    name: 'vm',
    imageUuid: dc.image,
    l3NetworkUuids: [dc.l3],
    instanceOfferingUuid: dc.instanceOffering,
  })
  await assert.rejects(create, /could not be taken back and will be tried again/)
  assert.deepEqual(
    (await cloud.cloud.context.workflows.unfinished()).map(({ state }) => state),
    ['Stuck'],
  )
  assert.equal(
    (await cloud.cloud.context.db.all('SELECT uuid FROM UsedIpVO WHERE vmNicUuid IS NOT NULL', [])).length,
    1,
  )
  assert.deepEqual(await cloud.query(queryGCJob), [])
  const attached = { l2NetworkUuid: dc.l2, clusterUuid: dc.cluster }
  await assert.rejects(cloud.call(detachL2NetworkFromCluster, attached))
  assert.deepEqual(await cloud.query(queryGCJob), [])
})
