import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSqlite } from './sqlite.ts'

test('a database that grows learns which of its indexes tells one row from others', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'zs-temp-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const db = openSqlite(join(dir, 'x.db'), { isDurable: false })
  t.after(() => db.close())
  await db.execute('CREATE TABLE `T` (`id` INTEGER PRIMARY KEY, `item` TEXT, `storage` TEXT) STRICT')
  await db.execute('CREATE INDEX `T_item` ON `T` (`item`)')
  await db.execute('CREATE INDEX `T_storage` ON `T` (`storage`)')
  let asked = 0
  const plan = async () => {
    const where = 'WHERE `storage` = ? AND `item` = ?'
    const values = ['s', 'i7']
    // A statement is planned anew when it runs, not when it is explained.
    await db.all(`SELECT * FROM \`T\` ${where}`, values)
    asked += 1
    const [step] = await db.all(`EXPLAIN QUERY PLAN SELECT * FROM \`T\` ${where} /* ${asked} */`, values)
    return String(step?.detail)
  }
  const add = (count: number, item: (n: number) => string, storage: (n: number) => string) =>
    Promise.all(
      Array.from({ length: count }, (_, n) =>
        db.write((tx) => tx.run('INSERT INTO `T` (`item`, `storage`) VALUES (?, ?)', [item(n), storage(n)])),
      ),
    )
  assert.match(await plan(), /T_storage/, 'it takes any of two it knows nothing about')
  await add(
    3_000,
    (n) => `i${n}`,
    () => 's',
  )
  assert.match(await plan(), /T_item/)
  // Samples begin with what sorts first.
  await add(
    60_000,
    () => 'a',
    (n) => `b${n}`,
  )
  assert.match(await plan(), /T_storage/, 'it learns again')
})
