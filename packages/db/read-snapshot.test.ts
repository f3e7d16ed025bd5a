import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { tempDir } from '#testkit'
import { type Database, openSqlite } from './index.ts'
import { ReadSnapshot } from './read-snapshot.ts'

async function withDatabase(work: (db: Database, file: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'zstack-db-'))
  const file = join(dir, 'a.db')
  const db = openSqlite(file)
  try {
    await db.execute('CREATE TABLE t (n INTEGER, text TEXT) STRICT')
    await work(db, file)
  } finally {
    await db.close()
    await rm(dir, { recursive: true })
  }
}

const insert = (db: Database, n: number) =>
  db.write((tx) => tx.run('INSERT INTO t VALUES (?, ?)', [n, 'x'.repeat(500)]))
const total = async (db: Database) => Number((await db.all('SELECT COUNT(*) AS n FROM t', []))[0]?.n)

test('a write is read as soon as it is acknowledged, also when its table was read just before', () =>
  withDatabase(async (db) => {
    for (let n = 1; n <= 50; n += 1) {
      assert.equal(await total(db), n - 1)
      await insert(db, n)
      assert.equal(await total(db), n)
    }
  }))

test('nothing uncommitted is read while a unit is under way', () =>
  withDatabase(async (db) => {
    await db.write(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1, NULL)', [])
      assert.equal(await total(db), 0)
      assert.equal(Number((await tx.all('SELECT COUNT(*) AS n FROM t', []))[0]?.n), 1)
    })
    assert.equal(await total(db), 1)
  }))

test('what another process committed is read in the next turn of the event loop', () =>
  withDatabase(async (db, file) => {
    assert.equal(await total(db), 0)
    const other = new DatabaseSync(file)
    other.exec('INSERT INTO t VALUES (1, NULL)')
    other.close()
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(await total(db), 1)
  }))

test('a change of the schema is seen at once', () =>
  withDatabase(async (db) => {
    assert.equal(await total(db), 0)
    await db.execute('ALTER TABLE t ADD COLUMN more TEXT')
    assert.deepEqual(await db.all('SELECT more FROM t', []), [])
  }))

test('who has read does not keep the write-ahead log from being moved into the database', () =>
  withDatabase(async (db, file) => {
    await total(db)
    await insert(db, 1)
    await total(db)
    await new Promise((resolve) => setImmediate(resolve))
    await insert(db, 2)
    const other = new DatabaseSync(file)
    const { log, checkpointed } = other.prepare('PRAGMA wal_checkpoint(PASSIVE)').get() ?? {}
    other.close()
    assert.ok(Number(log) > 0)
    assert.equal(checkpointed, log)
  }))

test('the same question gets the new answer after a write, within one turn too', () =>
  withDatabase(async (db) => {
    const rows = () => db.rows('SELECT n FROM t WHERE n > ?', [0])
    for (let n = 1; n <= 3; n += 1) {
      assert.equal((await rows()).length, n - 1)
      assert.equal((await rows()).length, n - 1)
      await insert(db, n)
    }
    assert.equal((await rows()).length, 3)
    assert.equal((await db.rows('SELECT n FROM t WHERE n > ?', [1])).length, 2)
  }))

test('what is committed but not flushed yet is read by nobody', async (t) => {
  const file = join(tempDir(t), 'a.db')
  const [writer, reader] = [new DatabaseSync(file), new DatabaseSync(file)]
  t.after(() => {
    reader.close()
    writer.close()
  })
  writer.exec('PRAGMA journal_mode=WAL; CREATE TABLE t (n INTEGER)')
  const snapshot = new ReadSnapshot(reader)
  const rows = () => {
    snapshot.open()
    return reader.prepare('SELECT n FROM t').all().length
  }
  const nextTurn = () => new Promise((resolve) => setImmediate(resolve))
  for (const readBefore of [true, false]) {
    const before = rows()
    if (!readBefore) await nextTurn()
    snapshot.hold()
    writer.exec('INSERT INTO t VALUES (1)')
    assert.equal(rows(), before)
    await nextTurn()
    assert.equal(rows(), before)
    snapshot.release()
    assert.equal(rows(), before + 1)
    await nextTurn()
  }
})

test('the log begins anew under load, though somebody always reads', async (t) => {
  const file = join(tempDir(t), 'a.db')
  const db = openSqlite(file)
  t.after(() => db.close())
  await db.execute('CREATE TABLE t (n INTEGER, text TEXT) STRICT')
  let isOver = false
  const reading = async () => {
    while (!isOver) {
      await db.all('SELECT COUNT(*) AS n FROM t', [])
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const written = async () => {
    // 64 MB of pages, four times what is kept.
    for (let n = 0; n < 64; n += 1)
      await db.write((tx) => tx.run('INSERT INTO t VALUES (?, ?)', [n, 'x'.repeat(2 ** 20)]))
    isOver = true
  }
  await Promise.all([reading(), written()])
  assert.ok(statSync(`${file}-wal`).size < 24 * 2 ** 20, `the log has ${statSync(`${file}-wal`).size} bytes`)
})

test('a question that cannot be answered fails each time it is asked', () =>
  withDatabase(async (db) => {
    await assert.rejects(db.rows('SELECT nothing FROM t', []))
    await assert.rejects(db.rows('SELECT nothing FROM t', []))
    assert.deepEqual(await db.rows('SELECT n FROM t', []), [])
  }))
