import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocateSpace } from '#plugins/primary-storage/contract/messages.ts'
import { audit, inventoryOf, startCloud } from '#testkit'
import { createDataVolume } from '../contract/apis.ts'
import { deleteDataVolume, expungeDataVolume } from '../contract/deletion-apis.ts'

test('space that was reserved for a volume goes with it, also when its row never came to know', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const created = await cloud.call(createDataVolume, { name: 'v', diskOfferingUuid: dc.diskOffering })
  const { uuid, size: sizeBytes } = inventoryOf(created)
  const where = { hostUuid: String(dc.hosts[0]), clusterUuid: dc.cluster }
  // What a node does that dies before it writes down where.
  const wanted = { volumeUuid: uuid, accountUuid: 'a', kind: 'Data' as const, sizeBytes, ...where }
  await cloud.cloud.context.bus.call(allocateSpace, wanted)
  await cloud.call(deleteDataVolume, { uuid })
  await cloud.call(expungeDataVolume, { uuid })
  assert.deepEqual(await audit(cloud.cloud.context.db, cloud.world), [])
})
