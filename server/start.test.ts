import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { numberOf } from '#db'
import { newUuid, waitFor } from '#kernel'
import { migrationsOf, schemaLevel } from '#plugin-host'
import { tempDir } from '#testkit'
import { allPlugins } from './plugins.ts'
import { problem, refusal, start } from './start.testing.ts'

async function ready(t: TestContext, dir: string): Promise<ChildProcess> {
  const child = start(t, '--data-dir', dir, '--api', '127.0.0.1:0')
  let out = ''
  child.stdout?.on('data', (chunk) => {
    out += chunk
  })
  await waitFor('the node to be ready', () => out.includes('is ready'), { timeoutMs: 20_000 })
  return child
}

test('wrong flags are told with the usage, and make nothing', async (t) => {
  const dir = join(tempDir(t), 'data')
  const wrong = [
    [],
    ['--data-dir'],
    ['--data-dir', dir, '--api', 'x'],
    ['--data-dir', dir, '--frob'],
    ['--data-dir', dir, 'word'],
  ]
  for (const flags of wrong)
    assert.match(await refusal(t, ...flags), /^usage: .*\nzstack: the management node could not start: .+\n$/)
  assert.equal(existsSync(dir), false)
})

test('a data directory that cannot be used is named, with the reason', async (t) => {
  const dir = tempDir(t)
  writeFileSync(join(dir, 'file'), '')
  for (const path of [join(dir, 'file'), join(dir, 'file', 'below')])
    assert.match(await refusal(t, '--data-dir', path), problem(/the data directory \S+ cannot be made: .+/))
  for (const [name, content] of [
    ['empty', ''],
    ['other', 'garbage'],
  ] as const) {
    mkdirSync(join(dir, name))
    writeFileSync(join(dir, name, 'node.uuid'), content)
    const said = await refusal(t, '--data-dir', join(dir, name))
    assert.match(said, problem(/\S+node\.uuid does not hold the uuid of this node; restore it .+/))
  }
})

test('a second process on the same data is refused, and leaves the first alone', async (t) => {
  const dir = tempDir(t)
  const first = await ready(t, dir)
  const said = await refusal(t, '--data-dir', dir, '--api', '127.0.0.1:0')
  assert.match(
    said,
    problem(/the data directory \S+ is in use by another management process; stop that one first/),
  )
  // Killed, it leaves no lock behind.
  first.kill('SIGKILL')
  await once(first, 'exit')
  const second = await ready(t, dir)
  second.kill('SIGTERM')
  const [code] = await once(second, 'exit')
  assert.equal(code, 0)
})

test('a database that is none, or of a newer version, is refused and not changed', async (t) => {
  const broken = tempDir(t)
  const noise = 'no database at all '.repeat(500)
  writeFileSync(join(broken, 'zstack.db'), noise)
  assert.match(
    await refusal(t, '--data-dir', broken),
    problem(/the database \S+ cannot be opened for writing: .+/),
  )
  assert.equal(readFileSync(join(broken, 'zstack.db'), 'utf8'), noise)

  const newer = tempDir(t)
  const db = new DatabaseSync(join(newer, 'zstack.db'))
  db.exec(
    'CREATE TABLE SchemaMigration (id TEXT PRIMARY KEY, checksum TEXT NOT NULL, appliedAt INTEGER NOT NULL)',
  )
  db.exec(`INSERT INTO SchemaMigration VALUES ('9999-future', 'x', 1)`)
  db.close()
  const said = await refusal(t, '--data-dir', newer)
  assert.match(
    said,
    problem(
      /the database was made by a newer version \(it has the migrations 9999-future; this version knows them up to \d+\); .+/,
    ),
  )
})

test('a key file that holds no key is named, not replaced', async (t) => {
  const dir = tempDir(t)
  writeFileSync(join(dir, 'node.uuid'), newUuid())
  writeFileSync(join(dir, 'secret.key'), 'short', { mode: 0o600 })
  const said = await refusal(t, '--data-dir', dir)
  assert.match(said, problem(/cannot use the key file \S+secret\.key: .+/))
  assert.equal(readFileSync(join(dir, 'secret.key'), 'utf8'), 'short')
  assert.equal(
    readdirSync(dir).some((name) => name.endsWith('.new')),
    false,
  )
})

test('--show-migrations tells what a start would change, beside a node that runs too, and changes nothing', async (t) => {
  const dir = join(tempDir(t), 'data')
  const shown = async () => text(start(t, '--data-dir', dir, '--show-migrations').stdout as never)
  assert.match(await shown(), /^-- 0001-workflow\nCREATE TABLE `WorkflowVO` [\s\S]*-- 0027-vm\n/)
  assert.equal(existsSync(dir), false)
  await ready(t, dir)
  assert.equal(await shown(), 'the schema is up to date\n')
})

test('the level of the schema is the number of the newest migration there is', () => {
  assert.equal(
    schemaLevel,
    Math.max(...migrationsOf(allPlugins()).map(({ id }) => numberOf(id))),
    'raise schemaLevel in packages/plugin-host/migrations.ts',
  )
})
