import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { cluster } from '#plugins/cluster/contract/resources.ts'
import { host } from '#plugins/host/contract/resources.ts'
import { createL2NoVlanNetwork, deleteL2Network } from '#plugins/l2-network/contract/apis.ts'
import {
  attachL2NetworkToCluster,
  detachL2NetworkFromCluster,
} from '#plugins/l2-network/contract/cluster-apis.ts'
import { l2NetworkPlugin } from '#plugins/l2-network/plugin.ts'
import { type NetworkCloud, startNetworkCloud } from '#plugins/l3-network/cases/network-cloud.ts'
import { type SimulatedHosts, simulatedHosts } from '#plugins/l3-network/cases/simulated-hosts.ts'
import { createL3Network, deleteL3Network } from '#plugins/l3-network/contract/apis.ts'
import { addIpRange } from '#plugins/l3-network/contract/ip-range-apis.ts'
import { l3NetworkPlugin } from '#plugins/l3-network/plugin.ts'
import {
  attachNetworkServiceToL3Network,
  detachNetworkServiceFromL3Network,
} from '#plugins/network-service/contract/apis.ts'
import { networkServicePlugin } from '#plugins/network-service/plugin.ts'
import { zone } from '#plugins/zone/contract/resources.ts'
import type { WorkflowMoment } from '#workflow'
import { flatNetworkPlugin } from '../plugin.ts'

interface Setup extends NetworkCloud {
  readonly hostUuid: string
  readonly attachment: { l2NetworkUuid: string; clusterUuid: string }
  readonly seen: string[]
  readonly sim: SimulatedHosts
  /** Makes the step fail right after its effect. */
  failAfter: string | undefined
}

/** Every step and every undo runs twice. */
async function arrange(t: TestContext): Promise<Setup> {
  const sim = simulatedHosts()
  const seen: string[] = []
  const state = { failAfter: undefined as string | undefined }
  const observe = async ({ step, phase, workflow }: WorkflowMoment) => {
    if (phase === 'journalled') return undefined
    seen.push(`${workflow} ${step} ${phase}`)
    if (phase === 'ran' && step === state.failAfter) throw new Error(`injected into ${step}`)
    return 'repeat' as const
  }
  const plugins = [sim.plugin, l2NetworkPlugin, l3NetworkPlugin, networkServicePlugin, flatNetworkPlugin]
  const net = await startNetworkCloud(t, plugins, observe)
  const zoneUuid = await net.row(zone, {})
  const clusterUuid = await net.row(cluster, { zoneUuid })
  const hostUuid = await net.row(host, { clusterUuid, zoneUuid, status: 'Connected' })
  const l2NetworkUuid = (
    await net.call(createL2NoVlanNetwork, { name: 'l2', zoneUuid, physicalInterface: 'eth0' })
  ).uuid
  const setup = { ...net, hostUuid, attachment: { l2NetworkUuid, clusterUuid }, seen, sim }
  return Object.defineProperty(setup as Setup, 'failAfter', { set: (step) => (state.failAfter = step) })
}

test('every step may run twice', async (t) => {
  const { call, attachment, seen, sim, hostUuid, cloud } = await arrange(t)
  await call(attachL2NetworkToCluster, attachment)
  await call(detachL2NetworkFromCluster, attachment)
  assert.deepEqual(sim.host(hostUuid).bridges(), [])
  await call(attachL2NetworkToCluster, attachment)
  const l3 = (await call(createL3Network, { name: 'n', l2NetworkUuid: attachment.l2NetworkUuid })).uuid
  const range = { name: 'r', startIp: '10.0.0.2', endIp: '10.0.0.9', netmask: '255.255.255.0' }
  await call(addIpRange, { l3NetworkUuid: l3, ...range })
  const services = { l3NetworkUuid: l3, networkServices: { Flat: ['DHCP'] } }
  await call(attachNetworkServiceToL3Network, services)
  await call(detachNetworkServiceFromL3Network, services)
  await call(deleteL3Network, { uuid: l3 })
  await call(deleteL2Network, { uuid: attachment.l2NetworkUuid })
  assert.equal(new Set(seen).size, 2 + 2 + 2 + 3 + 3, 'every step of the five workflows was seen')
  for (const table of ['L2NetworkVO', 'L2NetworkClusterRefVO', 'L3NetworkVO', 'UsedIpVO', 'WorkflowVO']) {
    assert.deepEqual(await cloud.context.db.all(`SELECT * FROM ${table}`, []), [], table)
  }
})

test('attaching that fails at any step leaves nothing, though every undo runs twice', async (t) => {
  const setup = await arrange(t)
  for (const step of ['add-attachment', 'create-bridges']) {
    setup.failAfter = step
    const attach = setup.call(attachL2NetworkToCluster, setup.attachment)
    await assert.rejects(attach, { message: new RegExp(`injected into ${step}`) })
    assert.deepEqual(setup.sim.host(setup.hostUuid).bridges(), [], step)
    for (const table of ['L2NetworkClusterRefVO', 'WorkflowVO']) {
      assert.deepEqual(await setup.cloud.context.db.all(`SELECT * FROM ${table}`, []), [], table)
    }
  }
})

test('detaching that fails at any step leaves the network attached', async (t) => {
  const setup = await arrange(t)
  await setup.call(attachL2NetworkToCluster, setup.attachment)
  for (const step of ['remove-attachment', 'remove-bridges']) {
    setup.failAfter = step
    const detach = setup.call(detachL2NetworkFromCluster, setup.attachment)
    await assert.rejects(detach, { message: new RegExp(`injected into ${step}`) })
    assert.deepEqual(setup.sim.host(setup.hostUuid).bridges(), ['br_eth0'], step)
    const refs = await setup.cloud.context.db.all('SELECT * FROM L2NetworkClusterRefVO', [])
    assert.equal(refs.length, 1, step)
  }
})
