import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tempDatabase } from '#testkit'
import { type Migration, migrate } from './schema.ts'

const table = (name: string): Migration['create'] => [
  { name, columns: { uuid: 'uuid' }, primaryKey: ['uuid'] },
]

test('a database opens without a plugin it was made with, and has its tables when the plugin returns', async (t) => {
  const { db } = await tempDatabase(t)
  const kept: Migration = { id: '0003-kept', create: table('KeptVO') ?? [] }
  const removed: Migration = { id: '0002-removed', create: table('RemovedVO') ?? [] }
  await migrate(db, [removed, kept])
  assert.deepEqual(await migrate(db, [kept]), [])
  assert.deepEqual(await migrate(db, [removed, kept]), [])
  assert.deepEqual(await db.all('SELECT * FROM `RemovedVO`', []), [])
})
