import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createVmInstance } from '#plugins/vm/contract/create-apis.ts'
import { startCloud, waitFor } from '#testkit'

test('only so many hosts copy an image from one backup storage at the same time', async (t) => {
  const { cloud, dc } = await startCloud(t, { hosts: 3 })
  await cloud.cloud.context.config.set('primaryStorage', 'imageCache.parallelismDegree', 1)
  const arrived: number[] = []
  const holds = [...cloud.world.hosts.values()].map(({ knobs }, i) => {
    const hold = knobs.hold('cacheImage')
    void hold.waiting.then(() => arrived.push(i))
    return hold
  })
  const common = { imageUuid: dc.image, instanceOfferingUuid: dc.instanceOffering, l3NetworkUuids: [dc.l3] }
  const creations = dc.hosts.map((hostUuid, i) =>
    cloud.call(createVmInstance, { ...common, name: `vm${i}`, hostUuid, strategy: 'InstantStart' }),
  )
  for (let copied = 1; copied <= 3; copied += 1) {
    await waitFor('the next copy', () => arrived.length === copied)
    holds[arrived.at(-1) ?? 0]?.release()
  }
  for (const { inventory } of await Promise.all(creations))
    assert.equal((inventory as { state?: unknown }).state, 'Running')
})
