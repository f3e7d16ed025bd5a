import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSqlite } from '#db'
import { auditBooks, tempDir, testDialect } from '#testkit'
import { makeBigCloud } from './big-cloud.ts'
import { timeQueries } from './query-timing.ts'

const skip = testDialect === 'sqlite' ? false : 'benches fill the files of SQLite'

test('a cloud made for benches has books that agree, and answers every question of the query bench', {
  skip,
}, async (t) => {
  const dir = tempDir(t)
  const size = { vms: 600, hosts: 101 }
  await makeBigCloud(dir, size)
  const db = openSqlite(join(dir, 'zstack.db'))
  try {
    assert.deepEqual(await auditBooks(db), [])
  } finally {
    await db.close()
  }
  for (const { name, found } of await timeQueries(dir, size, 5)) assert.ok(found > 0, name)
})
