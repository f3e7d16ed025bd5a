import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from '#client'
import { CloudError } from '#kernel'
import { adminPassword, startThingCloud } from './testing/thing-cloud.ts'
import { createThing, deleteThing, echoThing, queryThing } from './testing/thing-contract.ts'

test('the typed client and the REST door understand each other', async () => {
  const cloud = await startThingCloud()
  try {
    const client = createClient({ baseUrl: cloud.origin })
    await assert.rejects(client.logIn('admin', 'wrong'), (e: unknown) => (e as CloudError).code === 'ID.1000')
    await client.logIn('admin', adminPassword)
    const { inventory } = await client.call(createThing, { name: 'a=b&c', partNames: ['p'], type: 'Big' })
    assert.equal(inventory.createDate, new Date(2017, 10, 14, 14, 20, 57).getTime())
    const { echo } = await client.call(echoThing, { word: 'a/b c', names: ['x', 'y'], numbers: { n: 1 } })
    assert.deepEqual(echo, { word: 'a/b c', names: ['x', 'y'], numbers: { n: 1 } })
    const found = await client.query(queryThing, ['name=a=b&c'], { replyWithCount: true, fields: ['uuid'] })
    assert.deepEqual(found, { inventories: [{ uuid: inventory.uuid }], total: 1 })
    await client.call(deleteThing, { uuid: inventory.uuid })
    assert.deepEqual((await client.query(queryThing)).inventories, [])
    // @ts-expect-error the name is mandatory; the type says so before the server does
    await assert.rejects(client.call(createThing, { size: 1 }), /name/)
    await assert.rejects(client.call(createThing, { name: '' }), (error: unknown) => {
      return error instanceof CloudError && error.code === 'SYS.1007' && error.opaque?.field === 'name'
    })
  } finally {
    await cloud.dispose()
  }
})
