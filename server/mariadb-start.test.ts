import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openMariadb } from '#db'
import { mariadbPlace, tempDir, withoutMariadb } from '#testkit'
import { problem, refusal } from './start.testing.ts'

test('a database server that cannot be used is named with the reason, and nothing is made', {
  skip: withoutMariadb,
}, async (t) => {
  const { host, port, database } = await mariadbPlace(t)
  const dir = join(tempDir(t), 'data')
  const password = join(tempDir(t), 'password')
  writeFileSync(password, 'wrong\n')
  const at = (user: string, place: string, name: string) =>
    refusal(
      t,
      ...['--data-dir', dir, '--api', '127.0.0.1:0', '--database', `mysql://${user}@${place}/${name}`],
      ...['--database-password-file', password],
    )
  assert.match(
    await at('root', '127.0.0.1:1', database),
    problem(/--database no database server answers \(127\.0\.0\.1:1: .*ECONNREFUSED.*/),
  )
  assert.match(await at('root', `${host}:${port}`, database), problem(/--database .*[Aa]ccess denied.*/))
  writeFileSync(password, '\n')
  assert.match(await at('root', `${host}:${port}`, 'nosuch'), problem(/--database .*nosuch.*/))
  assert.match(await at('nobody', `${host}:${port}`, database), problem(/--database .*[Aa]ccess denied.*/))
  assert.equal(existsSync(dir), false)
})

test('a database of a newer version is refused, and no node is announced in it', {
  skip: withoutMariadb,
}, async (t) => {
  const { host, port, database } = await mariadbPlace(t)
  const db = openMariadb({ endpoints: [{ host, port }], user: 'root', password: '', database, poolSize: 1 })
  t.after(() => db.close())
  await db.execute(
    'CREATE TABLE `SchemaMigration` (`id` VARCHAR(64) PRIMARY KEY, `checksum` VARCHAR(64), `appliedAt` BIGINT)',
  )
  await db.execute("INSERT INTO `SchemaMigration` VALUES ('9999-future', 'x', 1)")
  const password = join(tempDir(t), 'password')
  writeFileSync(password, '')
  const flags = [
    '--data-dir',
    tempDir(t),
    '--api',
    '127.0.0.1:0',
    '--database',
    `mysql://root@${host}:${port}/${database}`,
  ]
  const said = await refusal(t, ...flags, '--database-password-file', password)
  assert.match(
    said,
    problem(/the database was made by a newer version \(it has the migrations 9999-future.+/),
  )
  const tables = (await db.all('SHOW TABLES', [])).flatMap((row) => Object.values(row)).sort()
  assert.deepEqual(tables, ['ItemVO', 'SchemaMigration'])
})
