import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { changeHostState, queryHost } from '#plugins/host/contract/apis.ts'
import { queryPrimaryStorage } from '#plugins/primary-storage/contract/apis.ts'
import { queryVolume } from '#plugins/volume/contract/apis.ts'
import type { Operator, QueryRequest } from '#query'
import { startCloud } from '#testkit'
import { queryVmInstance } from '../contract/create-apis.ts'
import { queryVmNic } from '../contract/nic-apis.ts'
import { stopVmInstance } from '../contract/power-apis.ts'
import { createVm } from './vm-scene.ts'

const GiB = 2 ** 30

/** Four VMs: web1 and web2 on host1, db on host2 with a large disk, off stopped and without a network. */
async function arrange(t: TestContext) {
  const { cloud, dc } = await startCloud(t, { hosts: 2 })
  const onSecond = { hostUuid: dc.hosts[1] }
  await createVm(cloud, dc, { name: 'web1', userTags: ['prod', 'front'], systemTags: ['hostname::web1'] })
  await createVm(cloud, dc, { name: 'web2', userTags: ['test', 'front'] })
  await createVm(cloud, dc, {
    name: 'db',
    ...onSecond,
    dataDiskSizes: [5 * GiB],
    cpuNum: 4,
    memorySize: GiB,
    instanceOfferingUuid: undefined,
  })
  const off = await createVm(cloud, dc, {
    name: 'off',
    ...onSecond,
    l3NetworkUuids: [],
    description: 'spare',
  })
  await cloud.call(stopVmInstance, { uuid: off.uuid })
  const names = async (...conditions: [string, Operator, string?][]) =>
    (
      await cloud.query(queryVmInstance, {
        conditions: conditions.map(([name, op, value]) => ({ name, op, value })),
      })
    )
      .map((vm) => String(vm.name))
      .sort()
  const ask = (request: Partial<QueryRequest>) =>
    cloud.cloud.context.query.query(queryVmInstance.resource as never, { conditions: [], ...request })
  return { cloud, dc, names, ask }
}
const all = ['db', 'off', 'web1', 'web2']

test('VMs are found by what they are related to, however far away', async (t) => {
  const { names } = await arrange(t)
  const online = ['db', 'web1', 'web2']
  assert.deepEqual(await names(['vmNics.l3Network.name', '=', 'l3']), online)
  assert.deepEqual(await names(['vmNics.ip', 'like', '10.99.%']), online)
  assert.deepEqual(await names(['vmNics.uuid', 'is null']), [])
  assert.deepEqual(await names(['zone.name', '=', 'zone']), all)
  assert.deepEqual(await names(['cluster.zone.name', '=', 'zone']), all)
  assert.deepEqual(await names(['host.name', '=', 'host1']), ['web1', 'web2'])
  assert.deepEqual(await names(['host.name', '!=', 'host1']), ['db'])
  assert.deepEqual(await names(['image.name', '=', 'image']), all)
  assert.deepEqual(await names(['instanceOffering.name', '=', 'tiny']), ['off', 'web1', 'web2'])
  assert.deepEqual(await names(['allVolumes.size', '>', String(4 * GiB)]), ['db'])
  assert.deepEqual(await names(['allVolumes.primaryStorage.name', '=', 'ps'], ['name', 'like', 'web%']), [
    'web1',
    'web2',
  ])
  assert.deepEqual(await names(['rootVolume.status', '=', 'Ready']), all)
})

test('every operator does what it says', async (t) => {
  const { names } = await arrange(t)
  assert.deepEqual(await names(['cpuNum', '=', '4']), ['db'])
  assert.deepEqual(await names(['cpuNum', '!=', '4']), ['off', 'web1', 'web2'])
  assert.deepEqual(await names(['cpuNum', '>', '1']), ['db'])
  assert.deepEqual(await names(['cpuNum', '>=', '1']), all)
  assert.deepEqual(await names(['cpuNum', '<', '4']), ['off', 'web1', 'web2'])
  assert.deepEqual(await names(['cpuNum', '<=', '4']), all)
  assert.deepEqual(await names(['name', 'in', 'db,off']), ['db', 'off'])
  assert.deepEqual(await names(['name', 'not in', 'db,off']), ['web1', 'web2'])
  assert.deepEqual(await names(['name', 'like', 'web_']), ['web1', 'web2'])
  assert.deepEqual(await names(['name', 'not like', 'web%']), ['db', 'off'])
  assert.deepEqual(await names(['description', 'is null']), ['db', 'web1', 'web2'])
  assert.deepEqual(await names(['description', 'is not null']), ['off'])
  assert.deepEqual(await names(['state', '=', 'Running'], ['host.name', '=', 'host2']), ['db'])
  assert.deepEqual(await names(['createDate', '>', '2001-01-01 00:00:00']), all)
  assert.deepEqual(await names(['name', '=', "x' OR '1'='1"]), [])
})

test('VMs are found by their tags', async (t) => {
  const { names } = await arrange(t)
  assert.deepEqual(await names(['__userTag__', '=', 'front']), ['web1', 'web2'])
  assert.deepEqual(await names(['__userTag__', '=', 'front'], ['__userTag__', '!=', 'prod']), ['web2'])
  assert.deepEqual(await names(['__userTag__', 'is null']), ['db', 'off'])
  assert.deepEqual(await names(['__systemTag__', 'like', 'hostname::%']), ['web1'])
  assert.deepEqual(await names(['vmNics.vmInstance.__userTag__', '=', 'prod']), ['web1'])
})

test('sorting, paging, counting and choosing members', async (t) => {
  const { ask } = await arrange(t)
  const page = await ask({ sortBy: 'name', sortDirection: 'desc', start: 1, limit: 2, replyWithCount: true })
  assert.deepEqual([page.inventories?.map((vm) => vm.name), page.total], [['web1', 'off'], 4])
  const up = await ask({ sortBy: 'memorySize', sortDirection: 'asc' })
  assert.equal(up.inventories?.at(-1)?.name, 'db')
  assert.deepEqual(await ask({ count: true }), { total: 4 })
  assert.deepEqual(await ask({ limit: 0 }), { inventories: [] })
  assert.deepEqual((await ask({ start: 10 })).inventories, [])
  const few = await ask({ fields: ['name', 'vmNics'], sortBy: 'name' })
  assert.deepEqual(
    few.inventories?.map((vm) => Object.keys(vm).sort()),
    Array(4).fill(['name', 'vmNics']),
  )
})

test('conditions that cannot be are refused with a suggestion', async (t) => {
  const { cloud, ask } = await arrange(t)
  const wrong: [Partial<QueryRequest>, RegExp][] = [
    [
      { conditions: [{ name: 'nmae', op: '=', value: 'x' }] },
      /VmInstanceInventory has no queryable field 'nmae'; did you mean 'name'\?/,
    ],
    [
      { conditions: [{ name: 'vmNic.ip', op: '=', value: 'x' }] },
      /'vmNic' \(in 'vmNic\.ip'\); did you mean 'vmNics'\?/,
    ],
    [
      { conditions: [{ name: 'vmNics.l3Network.nam', op: '=', value: 'x' }] },
      /'nam' .*did you mean 'name'\?/,
    ],
    [{ conditions: [{ name: 'internalId', op: '=', value: '1' }] }, /no queryable field 'internalId'/],
    [{ conditions: [{ name: 'cpuNum', op: '=', value: 'four' }] }, /'cpuNum' is a number, not 'four'/],
    [
      { conditions: [{ name: 'createDate', op: '>', value: 'then' }] },
      /is a time like '2026-01-31 12:00:00'/,
    ],
    [{ conditions: [{ name: 'name', op: '=' }] }, /needs a value/],
    [{ sortBy: 'nmae' }, /no field 'nmae' to sort by; did you mean 'name'\?/],
    [{ fields: ['nmae'] }, /no field 'nmae' to show; did you mean 'name'\?/],
  ]
  for (const [request, message] of wrong) await assert.rejects(ask(request), { code: 'SYS.1007', message })
  assert.equal((await cloud.query(queryVmInstance)).length, 4)
})

test('the other side of every relation works, too', async (t) => {
  const { cloud, dc } = await arrange(t)
  const by = async (api: typeof queryHost, name: string, value: string) =>
    (await cloud.query(api, { conditions: [{ name, op: '=', value }] })).length
  assert.equal(await by(queryHost, 'vmInstance.name', 'db'), 1)
  assert.equal(await by(queryVolume, 'vmInstance.host.name', 'host2'), 2)
  assert.equal(await by(queryVmNic, 'vmInstance.zone.name', 'zone'), 3)
  assert.equal(await by(queryPrimaryStorage, 'volume.vmInstance.name', 'web1'), 1)
  assert.equal(await by(queryPrimaryStorage, 'attachedClusterUuids', dc.cluster), 1)
  await cloud.call(changeHostState, { uuid: String(dc.hosts[0]), stateEvent: 'disable' })
  assert.equal(await by(queryVmInstance, 'host.state', 'Disabled'), 2)
})
