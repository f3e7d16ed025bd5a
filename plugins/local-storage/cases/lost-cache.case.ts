import assert from 'node:assert/strict'
import { test } from 'node:test'
import { find } from '#db'
import { reconnectHost } from '#plugins/host/contract/apis.ts'
import { createVm } from '#plugins/vm/cases/vm-scene.ts'
import { audit, simulatedHost, startCloud } from '#testkit'
import { booksOf, reserveCache } from '../capacity.ts'
import { localImageCache } from '../contract/resources.ts'

test('space that was reserved for an image which never came is given back when the host is looked at', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const { db } = cloud.cloud.context
  const hostUuid = String(dc.hosts[0])
  // As a node leaves it that dies between the reservation and the copy.
  await db.write((tx) =>
    reserveCache(tx, booksOf(cloud.cloud.context as never), {
      ...{ imageUuid: dc.image, primaryStorageUuid: dc.primaryStorage, hostUuid, size: 16_777_216 },
      installPath: `/zstack_ps/imagecache/template/${dc.image}/${dc.image}.qcow2`,
    }),
  )
  assert.notDeepEqual(await audit(db, cloud.world), [])
  await cloud.call(reconnectHost, { uuid: hostUuid })
  assert.deepEqual(await find(db, localImageCache, {}), [])
  assert.deepEqual(await audit(db, cloud.world), [])
})

test('an image that is being brought while its host is looked at keeps its space', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const hold = simulatedHost(cloud).knobs.hold('cacheImage')
  const creation = createVm(cloud, dc)
  await hold.waiting
  await cloud.call(reconnectHost, { uuid: String(dc.hosts[0]) })
  hold.release()
  await creation
  assert.equal((await find(cloud.cloud.context.db, localImageCache, {})).length, 1)
  assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
})
