import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addIso, inventoryOf, simulatedHost, startCloud } from '#testkit'
import { createVmInstance } from '../contract/create-apis.ts'

const MiB = 2 ** 20

test('a VM made with an offering runs, and shows all the contract promises', async (t) => {
  const { cloud, dc } = await startCloud(t)
  const input = {
    name: 'web',
    description: 'front',
    imageUuid: dc.image,
    instanceOfferingUuid: dc.instanceOffering,
    l3NetworkUuids: [dc.l3],
  }
  const vm = inventoryOf(await cloud.call(createVmInstance, input))
  console.log(vm)
})
