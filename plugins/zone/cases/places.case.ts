import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import {
  changeClusterState,
  createCluster,
  deleteCluster,
  queryCluster,
  updateCluster,
} from '#plugins/cluster/contract/apis.ts'
import { assertRefused, createTestCloud, databaseContent, inventoryOf, startCloud } from '#testkit'
import { changeZoneState, createZone, deleteZone, queryZone, updateZone } from '../contract/apis.ts'

test('zones are created, changed and deleted; exactly one is the default', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const first = inventoryOf(await cloud.call(createZone, { name: 'first', description: 'd' }))
  assert.deepEqual(
    [first.name, first.description, first.state, first.type, first.isDefault],
    ['first', 'd', 'Enabled', 'zstack', true],
  )
  const second = inventoryOf(await cloud.call(createZone, { name: 'second' }))
  assert.equal(second.isDefault, false)
  const defaults = async () =>
    (await cloud.query(queryZone)).filter((z) => z.isDefault === true).map((z) => z.name)
  const { uuid } = second
  const changed = inventoryOf(await cloud.call(updateZone, { uuid, name: 'zwei', isDefault: true }))
  assert.deepEqual([changed.name, changed.isDefault, await defaults()], ['zwei', true, ['zwei']])
  assert.equal(
    inventoryOf(await cloud.call(changeZoneState, { uuid, stateEvent: 'disable' })).state,
    'Disabled',
  )
  assert.deepEqual(await cloud.call(deleteZone, { uuid }), {})
  assert.deepEqual(await cloud.call(deleteZone, { uuid }), {}, 'what is gone is gone')
  assert.equal((await cloud.query(queryZone)).length, 1)
})

test('wrong zones and clusters are refused, the field named', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const nowhere = newUuid()
  const cluster = { name: 'c', zoneUuid: dc.zone, hypervisorType: 'Simulator' }
  const wrong = [
    [createZone, {}, 'name', /mandatory/, 'SYS.1007'],
    [createZone, { name: 'a;b' }, 'name', /must match/, 'SYS.1007'],
    [createZone, { name: 'z', resourceUuid: dc.zone }, 'resourceUuid', /exists already/, 'SYS.1007'],
    [createZone, { name: 'z', isDefault: 'perhaps' }, 'isDefault', /true or false/, 'SYS.1007'],
    [updateZone, { uuid: nowhere, name: 'z' }, 'uuid', /Zone that does not exist/, 'SYS.1003'],
    [changeZoneState, { uuid: dc.zone }, 'stateEvent', /mandatory/, 'SYS.1007'],
    [changeZoneState, { uuid: dc.zone, stateEvent: 'Enable' }, 'stateEvent', /enable, disable/, 'SYS.1007'],
    [deleteZone, { uuid: 'x' }, 'uuid', /does not exist/, 'SYS.1003'],
    [createCluster, { ...cluster, zoneUuid: nowhere }, 'zoneUuid', /Zone that does not exist/, 'SYS.1003'],
    [createCluster, { ...cluster, hypervisorType: 'VMware' }, 'hypervisorType', /one of/, 'SYS.1007'],
    [createCluster, { ...cluster, name: undefined }, 'name', /mandatory/, 'SYS.1007'],
    [updateCluster, { uuid: dc.zone, name: 'x' }, 'uuid', /Cluster that does not exist/, 'SYS.1003'],
    [changeClusterState, { uuid: dc.cluster, stateEvent: 'x' }, 'stateEvent', /enable, disable/, 'SYS.1007'],
  ] as const
  for (const [api, input, field, says, code] of wrong)
    await assertRefused(cloud, api, input, { code, field, says })
})

test('zones and clusters that hold something stay, and tell what', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const full = (says: RegExp) => ({ code: 'SYS.1004', says })
  await assertRefused(cloud, deleteZone, { uuid: dc.zone }, full(/still has 1 /))
  await assertRefused(
    cloud,
    deleteCluster,
    { uuid: dc.cluster },
    full(/still has 1 host\(s\); delete them first/),
  )
})

test('clusters are created, changed and deleted', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const before = await databaseContent(cloud)
  const input = { name: 'c', description: 'd', zoneUuid: dc.zone, hypervisorType: 'Simulator' as const }
  const made = inventoryOf(await cloud.call(createCluster, { ...input, userTags: ['t'] }))
  assert.deepEqual(
    [made.name, made.description, made.state, made.type, made.zoneUuid, made.hypervisorType],
    ['c', 'd', 'Enabled', 'zstack', dc.zone, 'Simulator'],
  )
  const { uuid } = made
  assert.equal(inventoryOf(await cloud.call(updateCluster, { uuid, name: 'd' })).name, 'd')
  const off = inventoryOf(await cloud.call(changeClusterState, { uuid, stateEvent: 'disable' }))
  assert.deepEqual([off.state, off.name], ['Disabled', 'd'])
  assert.equal((await cloud.query(queryCluster)).length, 2)
  await cloud.call(deleteCluster, { uuid })
  assert.deepEqual(await databaseContent(cloud), before, 'nothing of it is left, its tags included')
})
