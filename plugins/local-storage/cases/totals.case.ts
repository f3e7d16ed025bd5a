import assert from 'node:assert/strict'
import { test } from 'node:test'
import { find, findOne } from '#db'
import { primaryStorage } from '#plugins/primary-storage/contract/resources.ts'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { destroyVmInstance, expungeVmInstance } from '#plugins/vm/contract/deletion-apis.ts'
import { buildDataCenter, createTestCloud, type TestCloud } from '#testkit'
import { localImageCache, localStorageHostRef } from '../contract/resources.ts'

async function totals(cloud: TestCloud, uuid: string): Promise<{ shown: number; counted: number }> {
  const { db } = cloud.cloud.context
  const disks = await find(db, localStorageHostRef, { primaryStorageUuid: uuid })
  const storage = await findOne(db, primaryStorage, { uuid })
  return {
    shown: storage?.availableCapacity ?? Number.NaN,
    counted: disks.reduce((sum, disk) => sum + disk.availableCapacity, 0),
  }
}

test('what a local storage shows as available is the sum over its hosts, whatever comes and goes', async () => {
  const cloud = await createTestCloud()
  try {
    const center = await buildDataCenter(cloud, { hosts: 3 })
    const { db } = cloud.cloud.context
    const before = await totals(cloud, center.primaryStorage)
    assert.equal(before.shown, before.counted)
    const input = {
      instanceOfferingUuid: center.instanceOffering,
      imageUuid: center.image,
      l3NetworkUuids: [center.l3],
    }
    const replies = await Promise.all(
      Array.from({ length: 12 }, (_, i) => cloud.call(createVmInstance, { ...input, name: `vm-${i}` })),
    )
    const full = await totals(cloud, center.primaryStorage)
    assert.equal(full.shown, full.counted)
    const caches = await find(db, localImageCache, {})
    assert.ok(caches.length > 0, 'no image was cached')
    for (const { inventory } of replies) {
      const { uuid } = inventory as { uuid: string }
      await cloud.call(destroyVmInstance, { uuid })
      await cloud.call(expungeVmInstance, { uuid })
    }
    const after = await totals(cloud, center.primaryStorage)
    assert.equal(after.shown, after.counted)
    // Only the cached images are left.
    const cached = caches.reduce((sum, cache) => sum + cache.size, 0)
    assert.equal(before.shown - after.shown, cached)
  } finally {
    await cloud.dispose()
  }
})
