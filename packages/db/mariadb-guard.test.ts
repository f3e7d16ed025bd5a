import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Connection, createConnection } from 'mysql2/promise'
import { CloudError, sysErrors } from '#kernel'
import {
  addItem as add,
  type MariadbPlace,
  openPlace as open,
  mariadbPlace as place,
  withoutMariadb as skip,
  itemUuids as uuids,
} from '#testkit'
import type { Database, Tx, WriteGuard } from './database.ts'

const guardOf = (node: string): WriteGuard => ({
  sql: 'UPDATE TurnVO SET turn = turn + 1 WHERE id = 1 AND EXISTS (SELECT 1 FROM NodeVO WHERE uuid = ?)',
  params: [node],
  refusal: () => new CloudError(sysErrors.ioError, `${node} is no member any more`),
})

async function prepare(db: Database): Promise<void> {
  await db.execute('CREATE TABLE TurnVO (id INT PRIMARY KEY, turn BIGINT) ENGINE=InnoDB')
  await db.execute('CREATE TABLE NodeVO (uuid VARCHAR(64) PRIMARY KEY) ENGINE=InnoDB')
  await db.write(async (tx) => {
    await tx.run('INSERT INTO TurnVO VALUES (1, 0)', [])
    await tx.run("INSERT INTO NodeVO VALUES ('n1'), ('n2')", [])
  })
}

async function connect({ host, port, database }: MariadbPlace) {
  return createConnection({ host, port, user: 'root', database })
}

/** Resolves when a transaction waits for a lock. */
async function somebodyWaits(t: TestContext, where: MariadbPlace): Promise<void> {
  const watcher = await connect(where)
  t.after(() => watcher.end())
  const waits = async () => {
    const [rows] = await watcher.query(
      "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    )
    return (rows as unknown[]).length > 0
  }
  while (!(await waits()));
}

/** Another node in the middle of its group. */
async function withTheTurn(t: TestContext, where: MariadbPlace): Promise<Connection> {
  const other = await connect(where)
  t.after(() => other.end())
  await other.query('BEGIN')
  await other.query('UPDATE TurnVO SET turn = turn + 1')
  return other
}

/** Takes the lowest number nobody has, as allocations do. */
async function takeNext(tx: Tx, by: string): Promise<void> {
  const [row] = await tx.all('SELECT COUNT(*) AS n FROM ItemVO', [])
  await tx.run('INSERT INTO ItemVO (uuid, n) VALUES (?, ?)', [`${by}-${row?.n}`, Number(row?.n)])
}

test('find-then-insert of two processes never takes the same twice', { skip }, async (t) => {
  const where = await place(t)
  const [one, two] = [open(t, where), open(t, where)]
  await prepare(one)
  one.guardWrites(guardOf('n1'))
  two.guardWrites(guardOf('n2'))
  const stream = async (db: Database, by: string) => {
    for (let round = 0; round < 30; round += 1)
      await Promise.all(Array.from({ length: 10 }, () => db.write((tx) => takeNext(tx, by))))
  }
  await Promise.all([stream(one, 'one'), stream(two, 'two')])
  const rows = await one.all('SELECT n, uuid FROM ItemVO ORDER BY n', [])
  assert.deepEqual(
    rows.map(({ n }) => n),
    Array.from({ length: 600 }, (_, i) => i),
  )
  // They really took turns.
  const owners = rows.map(({ uuid }) => String(uuid).slice(0, 3))
  assert.ok(owners.filter((owner, i) => owner !== owners[i - 1]).length > 4)
})

test('a node that is declared dead while its group waits for its turn changes nothing', {
  skip,
}, async (t) => {
  const where = await place(t)
  const db = open(t, where)
  await prepare(db)
  db.guardWrites(guardOf('n1'))
  const other = await withTheTurn(t, where)
  const late = db.write((tx) => add(tx, 'late'))
  await somebodyWaits(t, where)
  await other.query("DELETE FROM NodeVO WHERE uuid = 'n1'")
  await other.query('COMMIT')
  await assert.rejects(late, /n1 is no member any more/)
  assert.deepEqual(await uuids(db), [])
})

test('who writes while the group waits for its turn gets into it', { skip }, async (t) => {
  const where = await place(t)
  const db = open(t, where)
  await prepare(db)
  db.guardWrites(guardOf('n1'))
  const other = await withTheTurn(t, where)
  const before = db.stats.writes.groups.count
  const first = db.write((tx) => add(tx, 'first'))
  await somebodyWaits(t, where)
  const others = Array.from({ length: 20 }, (_, i) => db.write((tx) => add(tx, `other-${i}`)))
  await other.query('COMMIT')
  await Promise.all([first, ...others])
  assert.equal((await uuids(db)).length, 21)
  assert.equal(db.stats.writes.groups.count - before, 1)
})

test('a process that stops in the middle of a group holds up the others for seconds, and its group runs again when it wakes', {
  skip,
}, async (t) => {
  const where = await place(t)
  const [one, two] = [open(t, where), open(t, where)]
  await prepare(one)
  one.guardWrites(guardOf('n1'))
  two.guardWrites(guardOf('n2'))
  let wake: () => void = () => undefined
  const asleep = new Promise<void>((resolve) => {
    wake = resolve
  })
  let runs = 0
  const sleeper = one.write(async (tx) => {
    runs += 1
    await add(tx, 'sleeper')
    await asleep
    await add(tx, 'sleeper, later')
  })
  const startedAt = performance.now()
  // Its first try is in the middle of its group when the other one's begins.
  while (runs === 0) await new Promise((resolve) => setImmediate(resolve))
  await two.write((tx) => add(tx, 'two'))
  const waitedMs = performance.now() - startedAt
  t.diagnostic(`the other process waited ${waitedMs.toFixed(0)} ms`)
  assert.ok(waitedMs < 9_000, `it waited ${waitedMs} ms`)
  wake()
  await sleeper
  assert.ok(runs > 1)
  assert.deepEqual(await uuids(one), ['sleeper', 'sleeper, later', 'two'])
})
