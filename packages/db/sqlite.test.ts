import assert from 'node:assert/strict'
import { stat } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { tempDir } from '#testkit'
import type { Database, Tx } from './database.ts'
import { type Migration, migrate } from './schema.ts'
import { openSqlite } from './sqlite.ts'
import { UniqueConflict } from './storage-errors.ts'

const schema: Migration = {
  id: '0001-item',
  create: [{ name: 'ItemVO', columns: { uuid: 'uuid', n: 'int' }, primaryKey: ['uuid'] }],
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))
const add = (tx: Tx, uuid: string, n = 0) =>
  tx.run('INSERT INTO `ItemVO` (`uuid`, `n`) VALUES (?, ?)', [uuid, n])
const uuids = async (db: Database) =>
  (await db.all('SELECT `uuid` FROM `ItemVO` ORDER BY `uuid`', [])).map((row) => String(row.uuid))
async function open(t: TestContext) {
  const file = join(tempDir(t), 'test.db')
  const db = openSqlite(file)
  t.after(() => db.close())
  await migrate(db, [schema])
  return { db, file }
}

test('a unit that fails leaves nothing and takes nothing with it, however it fails', async (t) => {
  const { db } = await open(t)
  const results = await Promise.allSettled([
    db.write((tx) => add(tx, 'a')),
    db.write(async (tx) => {
      await add(tx, 'b')
      throw new Error('after its insert')
    }),
    db.write((): Promise<void> => {
      throw new Error('synchronously')
    }),
    db.write((tx) => add(tx, 'a')),
    db.write((tx) => tx.run('no sql', [])),
    db.write((tx) => add(tx, 'c')),
  ])
  assert.deepEqual(
    results.map((r) => r.status),
    ['fulfilled', 'rejected', 'rejected', 'rejected', 'rejected', 'fulfilled'],
  )
  assert.deepEqual(await uuids(db), ['a', 'c'])
})

test('a conflict of unique values is a UniqueConflict, inside the unit as well as outside', async (t) => {
  const { db } = await open(t)
  await db.write((tx) => add(tx, 'a'))
  await assert.rejects(
    db.write((tx) => add(tx, 'a')),
    UniqueConflict,
  )
  await db.write(async (tx) => {
    await assert.rejects(add(tx, 'a'), UniqueConflict)
    await add(tx, 'b')
  })
  assert.deepEqual(await uuids(db), ['a', 'b'])
})

test('what a failed unit left running cannot write into its neighbours', async (t) => {
  const { db } = await open(t)
  let straggler: Promise<unknown> = Promise.resolve()
  const failing = db.write(async (tx) => {
    straggler = Promise.resolve()
      .then(() => Promise.resolve())
      .then(() => add(tx, 'stray'))
    straggler.catch(() => undefined) // looked at below
    throw new Error('failed early')
  })
  const neighbour = db.write(async (tx) => {
    for (let i = 0; i < 10; i += 1) await Promise.resolve()
    await add(tx, 'neighbour')
  })
  await assert.rejects(failing, /failed early/)
  await neighbour
  await assert.rejects(straggler, /this tx is over/)
  assert.deepEqual(await uuids(db), ['neighbour'])
})

test('a write inside a write is refused instead of waiting for ever; one begun by a finished unit is not', async (t) => {
  const { db } = await open(t)
  await assert.rejects(
    db.write(() => db.write((tx) => add(tx, 'inner'))),
    /write inside a write/,
  )
  let later: Promise<unknown> = Promise.resolve()
  await db.write(async () => {
    later = nextTurn()
      .then(() => nextTurn())
      .then(() => db.write((tx) => add(tx, 'later')))
  })
  await later
  assert.deepEqual(await uuids(db), ['later'])
})

test('a reader sees a unit only when it is committed', async (t) => {
  const { db } = await open(t)
  let seen: string[] | undefined
  await db.write(async (tx) => {
    await add(tx, 'a')
    seen = await uuids(db)
    assert.equal((await tx.all('SELECT * FROM `ItemVO`', [])).length, 1, 'the unit sees its own rows')
  })
  assert.deepEqual(seen, [])
  assert.deepEqual(await uuids(db), ['a'])
})

test('what was acknowledged is in the file, in order of acknowledgement', async (t) => {
  const { db, file } = await open(t)
  const other = new DatabaseSync(file, { readOnly: true })
  t.after(() => other.close())
  for (let i = 0; i < 20; i += 1) {
    await db.write((tx) => add(tx, String(i)))
    assert.equal(other.prepare('SELECT COUNT(*) AS n FROM ItemVO').get()?.n, i + 1)
  }
})

test('ten thousand concurrent writes all arrive, in the order they were asked for', async (t) => {
  const { db } = await open(t)
  let order = 0
  const writes = Array.from({ length: 10_000 }, (_, i) =>
    db.write(async (tx) => {
      assert.equal(order, i)
      order += 1
      await add(tx, String(i), i)
    }),
  )
  await Promise.all(writes)
  const [row] = await db.all('SELECT COUNT(*) AS n, SUM(`n`) AS s FROM `ItemVO`', [])
  assert.deepEqual({ ...row }, { n: 10_000, s: (10_000 * 9_999) / 2 })
})

test('more shapes of statements than are kept still work, also ones that were forgotten', async (t) => {
  const { db } = await open(t)
  await db.write((tx) => add(tx, 'a', 5))
  for (const _round of [1, 2])
    for (let i = 0; i < 2_100; i += 1) {
      const rows = await db.all(`SELECT \`n\` + ${i} AS s FROM \`ItemVO\``, [])
      assert.equal(rows[0]?.s, 5 + i)
    }
})

test('close waits for writes under way, refuses later ones by name, and may be called twice', async (t) => {
  const file = join(tempDir(t), 'x.db')
  const db = openSqlite(file)
  await db.execute('CREATE TABLE `ItemVO` (`uuid` TEXT, `n` INTEGER)')
  const writes = Array.from({ length: 600 }, (_, i) => db.write((tx) => add(tx, String(i))))
  const closing = db.close()
  await assert.rejects(
    db.write((tx) => add(tx, 'late')),
    { code: 'SYS.1016', details: /closed/ },
  )
  await Promise.all([closing, db.close(), ...writes])
  await assert.rejects(uuids(db), { code: 'SYS.1016', details: /closed/ })
  const again = openSqlite(file)
  assert.equal((await uuids(again)).length, 600)
  await again.close()
})

test('a file that cannot be opened is named', (t) => {
  const dir = tempDir(t)
  assert.throws(() => openSqlite(join(dir, 'missing', 'x.db')), {
    code: 'SYS.1016',
    details: /missing\/x\.db cannot be opened/,
  })
  assert.throws(() => openSqlite(dir), { code: 'SYS.1016' })
})

test('the writer waits for another process that holds the lock, and says so when that takes too long', async (t) => {
  const { db, file } = await open(t)
  const other = new DatabaseSync(file)
  t.after(() => other.close())
  other.exec('BEGIN IMMEDIATE')
  await assert.rejects(
    db.write((tx) => add(tx, 'a')),
    { code: 'SYS.1016', details: /locked.*Nothing was changed/ },
  )
  other.exec('ROLLBACK')
  await db.write((tx) => add(tx, 'a'))
})

test('a session for reading refuses to write', async (t) => {
  const { db } = await open(t)
  await assert.rejects(db.run('DELETE FROM `ItemVO`', []), /use write\(\)/)
  await assert.rejects(db.all('DELETE FROM `ItemVO` RETURNING *', []), { code: 'SYS.1016' })
})

test('what is read while the database is being closed ends with it', async (t) => {
  const { db, file } = await open(t)
  await db.write((tx) => add(tx, 'a'))
  let read: Promise<string[]> | undefined
  let closed: Promise<void> | undefined
  // In one turn of the event loop: a file is asked for and the database closed, both are done while nothing else runs,
  // and so the read comes right before the connections go.
  setImmediate(() => {
    stat(file, () => {
      read = uuids(db)
    })
    closed = db.close()
  })
  setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100))
  await nextTurn()
  await nextTurn()
  await closed
  assert.deepEqual(await read, ['a'])
  await nextTurn()
  await assert.rejects(uuids(db), /the database is closed/)
})
