import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudError, sysErrors } from '#kernel'
import { tempDatabase } from '#testkit'
import type { Database, Tx } from './database.ts'
import type { Migration } from './schema.ts'

const schema: Migration = {
  id: '0001-turn',
  create: [
    { name: 'TurnVO', columns: { id: 'int', turn: 'long' }, primaryKey: ['id'] },
    { name: 'NodeVO', columns: { uuid: 'uuid' }, primaryKey: ['uuid'] },
    { name: 'ItemVO', columns: { uuid: 'uuid' }, primaryKey: ['uuid'] },
  ],
}
const sql =
  'UPDATE `TurnVO` SET `turn` = `turn` + 1 WHERE `id` = 1 AND EXISTS (SELECT 1 FROM `NodeVO` WHERE `uuid` = ?)'
const guardOf = (node: string) => ({
  sql,
  params: [node],
  refusal: () => new CloudError(sysErrors.ioError, `${node} is no member any more`),
})
const add = (tx: Tx, uuid: string) => tx.run('INSERT INTO `ItemVO` (`uuid`) VALUES (?)', [uuid])
const uuids = async (db: Database) =>
  (await db.all('SELECT `uuid` FROM `ItemVO` ORDER BY `uuid`', [])).map((row) => row.uuid)

test('a guard that does not hold refuses whole groups and runs none of their units; without it they go on', async (t) => {
  const { db } = await tempDatabase(t, [schema])
  await db.write(async (tx) => {
    await tx.run('INSERT INTO `TurnVO` (`id`, `turn`) VALUES (1, 0)', [])
    await tx.run('INSERT INTO `NodeVO` (`uuid`) VALUES (?)', ['n1'])
  })
  db.guardWrites(guardOf('n1'))
  await Promise.all([db.write((tx) => add(tx, 'a')), db.write((tx) => add(tx, 'b'))])
  const [row] = await db.all('SELECT `turn` FROM `TurnVO`', [])
  assert.ok(Number(row?.turn) >= 1)

  await db.write((tx) => tx.run('DELETE FROM `NodeVO`', []))
  let runs = 0
  const unit = (uuid: string) =>
    db.write((tx) => {
      runs += 1
      return add(tx, uuid)
    })
  const refused = await Promise.allSettled([unit('c'), unit('d')])
  for (const result of refused)
    assert.match(String(result.status === 'rejected' && result.reason), /n1 is no member/)
  assert.deepEqual([await uuids(db), runs], [['a', 'b'], 0])

  db.guardWrites(undefined)
  await unit('e')
  assert.deepEqual(await uuids(db), ['a', 'b', 'e'])
})

test('a unit that fails behind a guard takes nothing with it', async (t) => {
  const { db } = await tempDatabase(t, [schema])
  await db.write((tx) => tx.run('INSERT INTO `TurnVO` (`id`, `turn`) VALUES (1, 0)', []))
  db.guardWrites({ ...guardOf('n1'), sql: 'UPDATE `TurnVO` SET `turn` = `turn` + 1', params: [] })
  const alone = db.write(async (tx) => {
    await add(tx, 'x')
    throw new Error('mine')
  })
  await assert.rejects(alone, /mine/)
  assert.deepEqual(await uuids(db), [])
  const [, kept] = await Promise.allSettled([
    db.write(() => Promise.reject(new Error('mine'))),
    db.write((tx) => add(tx, 'a')),
  ])
  assert.equal(kept.status, 'fulfilled')
  assert.deepEqual(await uuids(db), ['a'])
})

test('a guard that cannot be asked fails the writes with its reason', async (t) => {
  const { db } = await tempDatabase(t, [schema])
  db.guardWrites({ ...guardOf('n1'), sql: 'UPDATE `MissingVO` SET `turn` = 1', params: [] })
  await assert.rejects(
    db.write((tx) => add(tx, 'a')),
    { code: 'SYS.1016', details: /MissingVO/ },
  )
  db.guardWrites(undefined)
  await db.write((tx) => add(tx, 'a'))
  assert.deepEqual(await uuids(db), ['a'])
})
