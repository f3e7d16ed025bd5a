import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestDatabase, tableNames, tempDatabase, tempDir, testDialect } from '#testkit'
import { type Migration, migrate, planMigrations } from './schema.ts'

const table = (name: string) =>
  ({ name, columns: { uuid: 'uuid', n: 'int?' }, primaryKey: ['uuid'] }) as const
const first: Migration = { id: '0001-a', create: [table('AVO')] }
const second: Migration = {
  id: '0002-b',
  create: [{ ...table('BVO'), unique: [['n']], indexes: [['n', 'uuid']] }],
  addColumns: { AVO: { name: 'string?' } },
  addIndexes: { AVO: [['n', 'uuid']] },
}

test('migrations are applied once, in the order of their ids', async (t) => {
  const { db } = await tempDatabase(t)
  assert.deepEqual(await migrate(db, [second, first]), ['0001-a', '0002-b'])
  assert.deepEqual(await migrate(db, [first, second]), [])
  assert.deepEqual(await migrate(db, [{ ...first, id: '0003-c', create: [table('CVO')] }, second, first]), [
    '0003-c',
  ])
  await db.write((tx) => tx.run('INSERT INTO `AVO` (`uuid`, `n`, `name`) VALUES (?, ?, ?)', ['a', 1, 'x']))
})

test('an edited migration is refused by name, and so is a database of a newer version', async (t) => {
  const { db } = await tempDatabase(t, [first, second])
  await assert.rejects(
    migrate(db, [{ ...first, create: [table('XVO')] }, second]),
    /0001-a was edited .*\(checksum [0-9a-f]{12} there, [0-9a-f]{12} here\)/,
  )
  await assert.rejects(migrate(db, [first]), /newer version \(it has the migrations 0002-b;/)
})

test('two migrations of one id are refused before anything is done', async (t) => {
  const { db } = await tempDatabase(t)
  await assert.rejects(
    migrate(db, [first, { ...first, create: [table('XVO')] }]),
    /two migrations have the id 0001-a/,
  )
  assert.deepEqual(await tableNames(db), ['SchemaMigration'])
})

test('a migration that dies half way leaves nothing and is applied at the next start', async (t) => {
  const { db } = await tempDatabase(t)
  const broken: Migration = { id: '0002-b', create: [table('BVO'), table('AVO')] }
  await assert.rejects(migrate(db, [first, broken]), /AVO/)
  assert.deepEqual(await tableNames(db), ['AVO', 'SchemaMigration'])
  assert.deepEqual(await migrate(db, [first, second]), ['0002-b'])
})

test('what would be done is told and not done', async (t) => {
  const { db } = await tempDatabase(t, [first])
  const [planned, ...others] = await planMigrations(db, [second, first])
  assert.deepEqual([planned?.id, others], ['0002-b', []])
  assert.match(
    planned?.statements.join('\n') ?? '',
    /CREATE TABLE .*`BVO`[\s\S]*ALTER TABLE `AVO` ADD COLUMN/,
  )
  assert.deepEqual(await tableNames(db), ['AVO', 'SchemaMigration'])
  await assert.rejects(
    planMigrations(db, [{ ...first, create: [table('XVO')] }, second]),
    /0001-a was edited/,
  )
})

test('nothing at all is made in a database that is only looked at', async (t) => {
  const dir = tempDir(t)
  const db = await openTestDatabase(dir)
  t.after(() => db.close())
  assert.deepEqual(
    (await planMigrations(db, [second, first])).map(({ id }) => id),
    ['0001-a', '0002-b'],
  )
  assert.deepEqual(await tableNames(db), [])
})

test('nodes that start at the same time migrate once', async (t) => {
  const { db, dir } = await tempDatabase(t)
  const others =
    testDialect === 'sqlite' ? [db, db] : [await openTestDatabase(dir), await openTestDatabase(dir)]
  t.after(() => Promise.all(others.map((other) => other.close())))
  const done = await Promise.all([db, ...others].map((one) => migrate(one, [first, second])))
  assert.deepEqual(done.flat().sort(), ['0001-a', '0002-b'])
  assert.deepEqual(await tableNames(db), ['AVO', 'BVO', 'SchemaMigration'])
  await db.write((tx) => tx.run('INSERT INTO `AVO` (`uuid`, `n`, `name`) VALUES (?, ?, ?)', ['a', 1, 'x']))
})
