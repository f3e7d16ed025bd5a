import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { createVm, startCloudWithVm } from '#plugins/vm/cases/vm-scene.ts'
import { queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { assertRefused, inventoryOf } from '#testkit'
import {
  createSystemTag,
  createUserTag,
  deleteTag,
  querySystemTag,
  queryUserTag,
  updateSystemTag,
} from '../contract/apis.ts'

const kind = 'VmInstanceVO'

test('user tags are put on, found by, and taken away', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t)
  const other = await createVm(cloud, dc)
  const tag = { resourceType: kind, resourceUuid: vm.uuid, tag: 'team a' }
  const shown = inventoryOf(await cloud.call(createUserTag, tag))
  assert.deepEqual(
    [shown.tag, shown.type, shown.resourceUuid, shown.resourceType],
    ['team a', 'User', vm.uuid, kind],
  )
  const by = async (op: '=' | '!=' | 'like' | 'not like' | 'in' | 'not in', value: string) =>
    (await cloud.query(queryVmInstance, { conditions: [{ name: '__userTag__', op, value }] })).map(
      (v) => v.uuid,
    )
  assert.deepEqual(await by('=', 'team a'), [vm.uuid])
  assert.deepEqual(await by('!=', 'team a'), [other.uuid])
  assert.deepEqual(await by('like', 'team%'), [vm.uuid])
  assert.deepEqual(await by('not like', 'team%'), [other.uuid])
  assert.deepEqual(await by('in', 'x,team a'), [vm.uuid])
  assert.deepEqual(await by('not in', 'x,team a'), [other.uuid])
  await cloud.call(deleteTag, { uuid: shown.uuid })
  assert.deepEqual(await cloud.query(queryUserTag), [])
  await cloud.call(deleteTag, { uuid: shown.uuid })
})

test('a system tag nobody knows, or with a bad value, is refused, naming those that are known', async (t) => {
  const { cloud, dc, vm } = await startCloudWithVm(t)
  const good = { resourceType: kind, resourceUuid: vm.uuid, tag: 'hostname::web' }
  const refuse = (change: object, says: RegExp, code = 'SYS.1007', field?: string) =>
    assertRefused(
      cloud,
      createSystemTag,
      { ...good, ...change },
      { code, says, ...(field === undefined ? {} : { field }) },
    )
  const known =
    /no system tag of VmInstanceVO looks like 'host::web'; known: .*hostname::\{hostname\}.*userdata::/
  await refuse({ tag: 'host::web' }, known, 'SYS.1007', 'systemTags')
  await refuse({ tag: 'hostname::not a name' }, /no host name/)
  await refuse({ resourceType: 'ZoneVO', resourceUuid: dc.zone }, /no system tag of ZoneVO/)
  await refuse({ resourceType: 'CarVO' }, /'CarVO' is no kind of resource/)
  await refuse({ resourceUuid: newUuid() }, /there is no VmInstance with the uuid/, 'SYS.1003')
  await refuse({ tag: undefined }, /mandatory/, 'SYS.1007', 'tag')
  await refuse({ tag: '' }, /empty/, 'SYS.1007', 'tag')
  const empty = { resourceType: kind, resourceUuid: vm.uuid, tag: ' ' }
  await assertRefused(cloud, createUserTag, empty, { code: 'SYS.1007', field: 'tag', says: /empty/ })
})

test('the same system tag again is the same tag; another value is a change of the first one', async (t) => {
  const { cloud, vm } = await startCloudWithVm(t)
  const put = async (tag: string) =>
    inventoryOf(await cloud.call(createSystemTag, { resourceType: kind, resourceUuid: vm.uuid, tag }))
  const one = await put('hostname::web')
  assert.equal((await put('hostname::web')).uuid, one.uuid)
  assert.equal(one.inherent, false)
  const changed = inventoryOf(await cloud.call(updateSystemTag, { uuid: one.uuid, tag: 'hostname::db' }))
  assert.equal(changed.tag, 'hostname::db')
  const bad = { code: 'SYS.1007', field: 'systemTags', says: /no host name/ }
  await assertRefused(cloud, updateSystemTag, { uuid: one.uuid, tag: 'hostname::-' }, bad)
  const other = { code: 'SYS.1007', field: 'tag', says: /hostname::\{hostname\}/ }
  await assertRefused(cloud, updateSystemTag, { uuid: one.uuid, tag: 'bootOrder::HardDisk' }, other)
  const conditions = [{ name: '__systemTag__', op: '=' as const, value: 'hostname::db' }]
  assert.equal((await cloud.query(queryVmInstance, { conditions })).length, 1)
  const byTag = [{ name: 'tag', op: 'like' as const, value: 'hostname::%' }]
  assert.equal((await cloud.query(querySystemTag, { conditions: byTag })).length, 1)
})
