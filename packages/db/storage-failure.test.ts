import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Database, Tx } from './database.ts'
import { openSqlite } from './sqlite.ts'

const mountable = process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0
const skip = mountable ? false : 'needs root and mount, to make a small file system'

function smallDisk(t: TestContext, sizeKiB: number): string {
  const dir = mkdtempSync(join(tmpdir(), 'zs-temp-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeKiB}k`, 'zstack-test', dir])
  // Hooks run in order of registration: a database that is still open outlives the lazy unmount and is closed afterwards.
  t.after(() => {
    execFileSync('umount', ['-l', dir])
    rmdirSync(dir)
  })
  return dir
}

const add = (tx: Tx, n: number, size: number) =>
  tx.run('INSERT INTO `T` (`n`, `text`) VALUES (?, ?)', [n, 'x'.repeat(size)])
const numbers = async (db: Database) => (await db.all('SELECT `n` FROM `T` ORDER BY `n`', [])).map((r) => r.n)

async function openWithTable(t: TestContext, dir: string): Promise<Database> {
  const db = openSqlite(join(dir, 'x.db'))
  t.after(() => db.close())
  await db.execute('CREATE TABLE IF NOT EXISTS `T` (`n` INTEGER PRIMARY KEY, `text` TEXT) STRICT')
  return db
}

test('a full disk fails the writes by name, keeps what was acknowledged, and ends when space returns', {
  skip,
}, async (t) => {
  const dir = smallDisk(t, 2048)
  const db = await openWithTable(t, dir)
  await db.write((tx) => add(tx, 1, 10))
  const ballast = join(dir, 'ballast')
  try {
    writeFileSync(ballast, Buffer.alloc(4 << 20))
  } catch {
    // ENOSPC is what it is for; what fitted stays.
  }
  const failed = await Promise.allSettled([
    db.write((tx) => add(tx, 2, 100_000)),
    db.write((tx) => add(tx, 3, 10)),
    db.write((tx) => add(tx, 4, 100_000)),
  ])
  for (const result of failed) {
    assert.equal(result.status, 'rejected')
    if (result.status !== 'rejected') continue
    assert.equal(result.reason.code, 'SYS.1016')
    assert.match(result.reason.details, /full|I\/O/)
  }
  assert.deepEqual(await numbers(db), [1])
  rmSync(ballast)
  await db.write((tx) => add(tx, 5, 100_000))
  assert.deepEqual(await numbers(db), [1, 5])
})

test('a unit larger than cache and disk fails alone or with its group, and nothing of a failed one stays', {
  skip,
}, async (t) => {
  const dir = smallDisk(t, 4096)
  const db = await openWithTable(t, dir)
  const before = await Promise.allSettled([
    db.write((tx) => add(tx, 1, 10)),
    // Spills out of the page cache in the middle of the transaction.
    db.write(async (tx) => {
      await tx.run('PRAGMA cache_size=10', [])
      for (let n = 100; n < 200; n += 1) await add(tx, n, 100_000)
    }),
    db.write((tx) => add(tx, 2, 10)),
    db.write((tx) => add(tx, 3, 10)),
  ])
  const told = before.flatMap((r, i) => (r.status === 'fulfilled' ? [[1, 0, 2, 3][i]] : []))
  assert.equal(before[1]?.status, 'rejected')
  assert.deepEqual(await numbers(db), told, 'what was told and what is stored differ')
  await db.write((tx) => add(tx, 7, 10))
  assert.ok((await numbers(db)).includes(7))
})

test('a file system that turns read-only refuses to open and to write by name, and recovers', {
  skip,
}, async (t) => {
  const dir = smallDisk(t, 4096)
  const first = openSqlite(join(dir, 'x.db'))
  await first.execute('CREATE TABLE `T` (`n` INTEGER PRIMARY KEY, `text` TEXT) STRICT')
  await first.close()
  execFileSync('mount', ['-o', 'remount,ro', dir])
  assert.throws(() => openSqlite(join(dir, 'x.db')), {
    code: 'SYS.1016',
    details: /x\.db cannot be opened for writing/,
  })
  execFileSync('mount', ['-o', 'remount,rw', dir])
  const db = await openWithTable(t, dir)
  await db.write((tx) => add(tx, 1, 1))
  assert.deepEqual(await numbers(db), [1])
})
