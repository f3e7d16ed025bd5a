import assert from 'node:assert/strict'
import { test } from 'node:test'
import { update } from '#db'
import { newUuid } from '#kernel'
import { host } from '#plugins/host/contract/resources.ts'
import { testDialect, waitFor } from '#testkit'
import { queryVmInstance } from '../contract/create-apis.ts'
import { vmState } from '../contract/states.ts'
import { unknownByTurns } from '../reconcile.ts'
import { patchVm } from '../store.ts'
import { createVm, startCloudWithVm } from './vm-scene.ts'

const news = (data: Record<string, unknown>) => ({ name: 'vm.state', atMs: Date.now(), data })

test('a host that floods its management with news makes it ask once more, not once for each', async (t) => {
  const { cloud, host, vm } = await startCloudWithVm(t)
  const asked = host.knobs.count('vmInfo')
  const held = host.knobs.hold('vmInfo')
  host.core.emit(news({ vmUuid: vm.uuid, state: 'Stopped', byAgent: false }))
  await held.waiting
  for (let i = 0; i < 5_000; i += 1)
    host.core.emit(news({ vmUuid: vm.uuid, state: 'Stopped', byAgent: false }))
  const { queues } = cloud.cloud.context
  await waitFor('the second question to wait', () => queues.entries().length > 1)
  assert.equal(queues.entries().filter(({ key }) => key.includes(vm.uuid)).length, 2)
  held.release()
  await waitFor('the questions to be answered', () => queues.entries().length === 0)
  const questions = host.knobs.count('vmInfo') - asked
  // What is looked up in another process may still be under way for the last of the news when the second question begins.
  if (testDialect === 'sqlite') assert.equal(questions, 2)
  else assert.ok(questions >= 2 && questions < 50, `${questions} questions`)
})

test('news of what a host does not have, or that is no news, changes nothing and asks nobody', async (t) => {
  const { cloud, dc, host, vm } = await startCloudWithVm(t, { hosts: 2 })
  const other = await createVm(cloud, dc, { name: 'other', hostUuid: dc.hosts[1] })
  const asked = cloud.world.hosts.values().reduce((sum, { knobs }) => sum + knobs.count('vmInfo'), 0)
  const strange = [
    other.uuid,
    newUuid(),
    '',
    7,
    null,
    undefined,
    { toString: 'x' },
    [vm.uuid],
    '__proto__',
    `${vm.uuid} `,
  ]
  for (const vmUuid of strange) host.core.emit(news({ vmUuid, state: 'Stopped', byAgent: 0 }))
  host.core.emit({ ...news({ vmUuid: vm.uuid }), name: 'constructor' })
  // Last, and true: when it has been looked at, so were those before it.
  host.knobs.crashVm(vm.uuid)
  await waitFor('the crash to be noticed', async () => {
    const shown = await cloud.query(queryVmInstance)
    return shown.find(({ uuid }) => uuid === vm.uuid)?.state === 'Stopped'
  })
  const now = cloud.world.hosts.values().reduce((sum, { knobs }) => sum + knobs.count('vmInfo'), 0)
  assert.equal(now - asked, 1)
  const shown = await cloud.query(queryVmInstance)
  assert.equal(shown.find(({ uuid }) => uuid === other.uuid)?.state, 'Running')
})

test('news that could not be looked into when it came is looked into again', async (t) => {
  const { cloud, host, vm } = await startCloudWithVm(t)
  host.knobs.failNext('vmInfo', 'out of reach')
  host.knobs.crashVm(vm.uuid)
  const isStopped = async () => (await cloud.query(queryVmInstance))[0]?.state === 'Stopped'
  await waitFor('the VM to be Stopped', isStopped, { timeoutMs: 30_000 })
  assert.deepEqual([host.state.vms.size, host.state.usedMemoryBytes], [0, 0])
})

test('VMs of unknown state are looked at while their host is there; many of them host by host', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t, { hosts: 3 })
  const { db } = cloud.cloud.context
  const [first = '', second = '', away = ''] = dc.hosts
  const on = async (hostUuid: string) => (await createVm(cloud, dc, { hostUuid })).uuid
  const vms = { [first]: [vm.uuid, await on(first)].toSorted(), [second]: [await on(second)] }
  const unreachable = await on(away)
  // The cloud itself looks again meanwhile: it gets no answer before this is over.
  for (const { knobs } of cloud.world.hosts.values()) knobs.hold('vmInfo')
  await db.write(async (tx) => {
    await update(tx, host, { uuid: away }, { status: 'Disconnected' })
    for (const uuid of [...Object.values(vms).flat(), unreachable])
      await patchVm(tx, uuid, { state: vmState.unknown })
  })
  const turns = async (many: number, count: number) => {
    const next = unknownByTurns(db, { many, hostsAtATurn: 1 })
    const found: string[][] = []
    for (let turn = 0; turn < count; turn += 1) found.push((await next()).map(({ uuid }) => uuid).toSorted())
    return found
  }
  const all = Object.values(vms).flat().toSorted()
  assert.deepEqual(await turns(5, 2), [all, all])
  const byHost = [first, second].toSorted().map((uuid) => vms[uuid])
  assert.deepEqual(await turns(4, 4), [...byHost, [], byHost[0]])
})
