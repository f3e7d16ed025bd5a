import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { assertRefused, createTestCloud, inventoryOf } from '#testkit'
import * as disk from '../contract/disk-offering-apis.ts'
import * as instance from '../contract/instance-offering-apis.ts'

const GiB = 2 ** 30

test('an instance offering keeps all it was given, and can be changed and deleted', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const input = {
    name: 'big',
    description: 'd',
    cpuNum: 8,
    memorySize: 16 * GiB,
    reservedMemorySize: GiB,
    sortKey: 3,
  }
  const allocatorStrategy = 'LeastVmPreferredHostAllocatorStrategy'
  const made = inventoryOf(await cloud.call(instance.createInstanceOffering, { ...input, allocatorStrategy }))
  assert.deepEqual({ ...made, ...input, allocatorStrategy, type: 'UserVm', state: 'Enabled' }, made)
  const { uuid } = made
  const change = { uuid, name: 'huge', allocatorStrategy: 'DefaultHostAllocatorStrategy' }
  const changed = inventoryOf(await cloud.call(instance.updateInstanceOffering, change))
  assert.deepEqual({ ...changed, ...change, cpuNum: 8, description: 'd' }, changed)
  const off = inventoryOf(
    await cloud.call(instance.changeInstanceOfferingState, { uuid, stateEvent: 'disable' }),
  )
  assert.equal(off.state, 'Disabled')
  await cloud.call(instance.deleteInstanceOffering, { uuid })
  assert.deepEqual(await cloud.query(instance.queryInstanceOffering), [])
})

test('a disk offering keeps all it was given, and can be changed and deleted', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const input = { name: 'large', description: 'd', diskSize: 100 * GiB, sortKey: 2 }
  const made = inventoryOf(await cloud.call(disk.createDiskOffering, input))
  assert.deepEqual({ ...made, ...input, type: 'zstack', state: 'Enabled' }, made)
  const { uuid } = made
  const changed = inventoryOf(await cloud.call(disk.updateDiskOffering, { uuid, description: 'e' }))
  assert.deepEqual([changed.name, changed.description, changed.diskSize], ['large', 'e', 100 * GiB])
  const off = inventoryOf(await cloud.call(disk.changeDiskOfferingState, { uuid, stateEvent: 'disable' }))
  const on = inventoryOf(await cloud.call(disk.changeDiskOfferingState, { uuid, stateEvent: 'enable' }))
  assert.deepEqual([off.state, on.state], ['Disabled', 'Enabled'])
  await cloud.call(disk.deleteDiskOffering, { uuid })
  await cloud.call(disk.deleteDiskOffering, { uuid })
  assert.deepEqual(await cloud.query(disk.queryDiskOffering), [])
})

test('wrong offerings are refused, the field named', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const good = { name: 'o', cpuNum: 1, memorySize: GiB }
  const wrong: [object, string, RegExp][] = [
    [{ name: undefined }, 'name', /mandatory/],
    [{ cpuNum: 0 }, 'cpuNum', /between 1 and 1024/],
    [{ cpuNum: 1025 }, 'cpuNum', /between 1 and 1024/],
    [{ memorySize: -1 }, 'memorySize', /between 1/],
    [{ memorySize: 1024 }, 'memorySize', /16777216/],
    [{ memorySize: 2 ** 60 }, 'memorySize', /whole number|between/],
    [{ sortKey: 'first' }, 'sortKey', /whole number/],
  ]
  for (const [change, field, says] of wrong)
    await assertRefused(
      cloud,
      instance.createInstanceOffering,
      { ...good, ...change },
      { code: 'SYS.1007', field, says },
    )
  for (const diskSize of [0, -1, 'x', 1.5])
    await assertRefused(
      cloud,
      disk.createDiskOffering,
      { name: 'd', diskSize },
      { code: 'SYS.1007', field: 'diskSize', says: /1|whole/ },
    )
  const missing = { code: 'SYS.1003', field: 'uuid', says: /not exist/ }
  for (const api of [instance.updateInstanceOffering, disk.updateDiskOffering])
    await assertRefused(cloud, api, { uuid: newUuid(), name: 'x' }, missing)
})
