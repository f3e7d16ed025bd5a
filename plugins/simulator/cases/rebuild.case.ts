import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createVmInstance, queryVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { startVmInstance } from '#plugins/vm/contract/power-apis.ts'
import { buildDataCenter, createTestCloud, waitFor } from '#testkit'

test('after a restart simulated hosts have their disks again, and their VMs are off and start', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const { image, l3, instanceOffering, diskOffering } = await buildDataCenter(cloud)
  const { inventory } = await cloud.call(createVmInstance, {
    name: 'vm',
    imageUuid: image,
    instanceOfferingUuid: instanceOffering,
    l3NetworkUuids: [l3],
    dataDiskOfferingUuids: [diskOffering],
  })
  const files = () =>
    [...cloud.world.hosts.values()].flatMap((h) => h.state.files.list('/zstack_ps')).map((f) => f.path)
  const before = files()
  assert.equal(before.length, 3, 'an image, a root disk and a data disk')

  cloud.world.hosts.clear()
  cloud.world.backupStorages.clear()
  await cloud.restart()

  assert.deepEqual(files().sort(), before.sort())
  const state = async () => (await cloud.query(queryVmInstance))[0]?.state
  await waitFor('the VM to be found off', async () => (await state()) === 'Stopped')
  await cloud.call(startVmInstance, { uuid: String(inventory.uuid) })
  assert.equal(await state(), 'Running')
})
