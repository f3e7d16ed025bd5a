import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Query, ReadBatch } from './read-batch.ts'

const BY_UUID = 'SELECT `uuid`,`n` FROM `T` WHERE `uuid` = ? LIMIT 1'
const key = (n: number) => String(n).padStart(32, '0')

test('the same question is asked once, and each asker has rows of its own', async () => {
  let dues = 0
  const batch = new ReadBatch(() => {
    dues += 1
  })
  const asked = [1, 2].map(() => batch.session.all('SELECT 1 AS n', []))
  const queries = batch.take()
  assert.deepEqual([queries.length, dues, batch.isEmpty], [1, 1, true])
  queries[0]?.answer([{ n: 1 }])
  const [one, two] = await Promise.all(asked)
  assert.deepEqual([one, two], [[{ n: 1 }], [{ n: 1 }]])
  assert.notEqual(one?.[0], two?.[0])
})

test('rows looked up by key come with one statement, and each asker has those of its key', async () => {
  const batch = new ReadBatch(() => undefined)
  const byOwner = 'SELECT `n`,`ownerUuid` FROM `T` WHERE `ownerUuid` = ? ORDER BY `n`'
  const asked = [
    ...[1, 2, 3].map((n) => batch.session.rows(BY_UUID, [key(n)])),
    ...[1, 2].map((n) => batch.session.rows(byOwner, [key(n)])),
    batch.session.rows(BY_UUID, ['no key']),
  ]
  const [lookup, plain, owners] = batch.take() as [Query, Query, Query]
  assert.equal(
    lookup.sql,
    `SELECT \`uuid\`,\`n\` FROM \`T\` WHERE \`uuid\` IN ('${key(1)}','${key(2)}','${key(3)}')`,
  )
  assert.deepEqual([plain.sql, plain.params], [BY_UUID, ['no key']])
  lookup.answer([
    [key(2), 20],
    [key(1), 10],
  ])
  plain.answer([])
  owners.answer([
    [1, key(1)],
    [2, key(2)],
    [3, key(1)],
  ])
  assert.deepEqual(await Promise.all(asked), [
    [[key(1), 10]],
    [[key(2), 20]],
    [],
    [
      [1, key(1)],
      [3, key(1)],
    ],
    [[2, key(2)]],
    [],
  ])
})

test('a statement that fails fails everybody who asked it, and nobody else', async () => {
  const batch = new ReadBatch(() => undefined)
  const asked = [batch.session.rows(BY_UUID, [key(1)]), batch.session.rows(BY_UUID, [key(2)])]
  const other = batch.session.rows('SELECT 1', [])
  const [lookup, plain] = batch.take()
  lookup?.fail(new Error('gone'))
  plain?.answer([[1]])
  for (const one of asked) await assert.rejects(one, /gone/)
  assert.deepEqual(await other, [[1]])
})
