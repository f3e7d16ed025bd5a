import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tempDatabase } from '#testkit'
import { type Migration, migrate, planMigrations } from './schema.ts'

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

test('the newest plugin may be removed too, when the version knows of its migration; a newer number is refused', async (t) => {
  const { db } = await tempDatabase(t)
  const kept: Migration = { id: '0003-kept', create: table('KeptVO') ?? [] }
  const removed: Migration = { id: '0007-removed', create: table('RemovedVO') ?? [] }
  await migrate(db, [kept, removed], 7)
  assert.deepEqual(await migrate(db, [kept], 7), [])
  const newer = {
    code: 'SYS.1000',
    details: /newer version \(it has the migrations 0007-removed; this version knows them up to 6\)/,
  }
  await assert.rejects(migrate(db, [kept], 6), newer)
  await assert.rejects(planMigrations(db, [kept], 6), newer)
})
