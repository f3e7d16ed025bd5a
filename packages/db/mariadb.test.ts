import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createConnection } from 'mysql2/promise'
import {
  addItem as add,
  openPlace as open,
  mariadbPlace as place,
  cuttingProxy as proxy,
  withoutMariadb as skip,
  itemUuids as uuids,
} from '#testkit'
import { openMariadb } from './mariadb.ts'
import { type Migration, migrate } from './schema.ts'
import { UniqueConflict } from './storage-errors.ts'

test('a unit that fails leaves nothing and takes nothing with it; conflicts are told apart', {
  skip,
}, async (t) => {
  const db = open(t, await place(t))
  const results = await Promise.allSettled([
    db.write((tx) => add(tx, 'a')),
    db.write(async (tx) => {
      await add(tx, 'b')
      throw new Error('after its insert')
    }),
    db.write((tx) => add(tx, 'a')),
    db.write((tx) => tx.run('no sql', [])),
    db.write(async (tx) => {
      await assert.rejects(add(tx, 'a'), UniqueConflict)
      await add(tx, 'c')
    }),
  ])
  assert.deepEqual(
    results.map((r) => r.status),
    ['fulfilled', 'rejected', 'rejected', 'rejected', 'fulfilled'],
  )
  assert.ok(results[2]?.status === 'rejected' && results[2].reason instanceof UniqueConflict)
  assert.deepEqual(await uuids(db), ['a', 'c'])
  await assert.rejects(
    db.write((tx) => add(tx, 'a')),
    UniqueConflict,
  )
  await assert.rejects(
    db.write(() => db.write((tx) => add(tx, 'd'))),
    /a write inside a write/,
  )
  await assert.rejects(db.all('DELETE FROM `ItemVO`', []), /READ ONLY transaction/)
})

test('what a unit finds stays true until it ends: a thousand concurrent find-then-insert take a thousand numbers', {
  skip,
}, async (t) => {
  const db = open(t, await place(t))
  const next = () =>
    db.write(async (tx) => {
      const [row] = await tx.all('SELECT MAX(`n`) AS n FROM `ItemVO`', [])
      const n = Number(row?.n ?? 0) + 1
      await add(tx, `u${n}`, n)
      return n
    })
  const numbers = await Promise.all(Array.from({ length: 1_000 }, next))
  assert.equal(new Set(numbers).size, 1_000)
})

test('a unit the server gave up for a deadlock is run again, whole', { skip }, async (t) => {
  const where = await place(t)
  const db = open(t, where)
  await db.write(async (tx) => {
    await add(tx, 'a')
    await add(tx, 'b')
  })
  const other = await createConnection({ ...where, user: 'root' })
  t.after(() => other.end())
  await other.query('BEGIN')
  // More changes than ours: the server gives up the smaller transaction.
  for (let i = 0; i < 20; i += 1) await other.query(`INSERT INTO ItemVO VALUES ('o${i}', 0)`)
  await other.query("UPDATE ItemVO SET n = n + 1 WHERE uuid = 'b'")
  let runs = 0
  let theirs: Promise<unknown> = Promise.resolve()
  await db.write(async (tx) => {
    // A text the database alone understands: it is run as it comes.
    await tx.run('UPDATE ItemVO SET n = n + 10 WHERE uuid = ?', ['a'])
    runs += 1
    if (runs === 1)
      theirs = other.query("UPDATE ItemVO SET n = n + 1 WHERE uuid = 'a'").then(() => other.query('COMMIT'))
    await tx.run('UPDATE ItemVO SET n = n + 10 WHERE uuid = ?', ['b'])
  })
  await theirs
  assert.equal(runs, 2)
  const rows = await db.all("SELECT n FROM ItemVO WHERE uuid IN ('a', 'b')", [])
  assert.deepEqual(
    rows.map(({ n }) => n),
    [11, 11],
  )
})

test('a connection that breaks before the commit is asked for costs nothing: the unit is run again', {
  skip,
}, async (t) => {
  const where = await place(t)
  let cuts = 1
  const broken = await proxy(t, where, (sent) =>
    sent.includes('cut-me') && cuts-- > 0 ? 'before' : undefined,
  )
  const db = open(t, { ...broken, database: where.database })
  await db.write((tx) => add(tx, 'cut-me'))
  assert.deepEqual([await uuids(db), cuts < 1], [['cut-me'], true])
})

test('a commit whose answer is lost is looked up: it is told when it was made, and run again when not', {
  skip,
}, async (t) => {
  const where = await place(t)
  for (const when of ['before', 'after'] as const) {
    let cuts = 1
    let runs = 0
    const broken = await proxy(t, where, (sent) =>
      sent.endsWith('\x03COMMIT') && cuts-- > 0 ? when : undefined,
    )
    const db = open(t, { ...broken, database: where.database })
    const write = db.write(async (tx) => {
      runs += 1
      await tx.run('INSERT INTO `ItemVO` (`uuid`,`n`) VALUES (?,?)', [when, runs])
      return when
    })
    assert.equal(await write, when)
    assert.equal(runs, when === 'before' ? 2 : 1)
    await db.write((tx) => add(tx, `${when}, later`))
  }
  assert.deepEqual(await uuids(open(t, where)), ['after', 'after, later', 'before', 'before, later'])
})

test('a commit of which no server can tell any more is told as unknown and never repeated', {
  skip,
}, async (t) => {
  const where = await place(t)
  let runs = 0
  const broken = await proxy(t, where, (sent) => {
    if (!sent.endsWith('\x03COMMIT')) return undefined
    setImmediate(() => broken.close())
    return 'after'
  })
  const db = open(t, { ...broken, database: where.database })
  const write = db.write(async (tx) => {
    runs += 1
    await add(tx, 'a')
  })
  await assert.rejects(write, { code: 'SYS.1016', details: /Whether the change was made is not known/ })
  assert.equal(runs, 1)
})

test('a server that does not answer is passed over, and all are named when none does', {
  skip,
}, async (t) => {
  const where = await place(t)
  const nobody = { host: '127.0.0.1', port: 1 }
  const db = open(t, where, [nobody])
  await db.write((tx) => add(tx, 'a'))
  assert.deepEqual(await uuids(db), ['a'])
  const lost = openMariadb({
    endpoints: [nobody, { ...nobody, port: 2 }],
    user: 'u',
    password: '',
    database: 'd',
    poolSize: 1,
    patienceMs: 50,
  })
  t.after(() => lost.close())
  const named = {
    code: 'SYS.1016',
    details: /no database server answers \(127.0.0.1:1: .*ECONNREFUSED.*; 127.0.0.1:2: .*Nothing was changed/,
  }
  await assert.rejects(lost.all('SELECT 1', []), named)
  await assert.rejects(
    lost.write((tx) => add(tx, 'a')),
    named,
  )
  const stranger = openMariadb({
    endpoints: [where],
    user: 'nobody',
    password: 'x',
    database: where.database,
    poolSize: 1,
  })
  t.after(() => stranger.close())
  await assert.rejects(stranger.all('SELECT 1', []), {
    code: 'SYS.1016',
    details: /refuses us: Access denied/,
  })
})

test('close waits for writes under way and refuses later ones by name', { skip }, async (t) => {
  const where = await place(t)
  const db = open(t, where)
  const writes = Array.from({ length: 300 }, (_, i) => db.write((tx) => add(tx, String(i))))
  const closing = db.close()
  await assert.rejects(
    db.write((tx) => add(tx, 'late')),
    { code: 'SYS.1016', details: /closed/ },
  )
  await Promise.all([closing, ...writes])
  await assert.rejects(uuids(db), { code: 'SYS.1016', details: /closed/ })
  assert.equal((await uuids(open(t, where))).length, 300)
})

test('a migration that was cut off between two statements is finished by the next start', {
  skip,
}, async (t) => {
  const db = open(t, await place(t))
  const uuid = { uuid: 'uuid' } as const
  const longName = 'AVeryLongNameOfATableThatLeavesNoRoomForItsIndexVO'
  const migration: Migration = {
    id: '0001-cut',
    create: [
      { name: 'AVO', columns: uuid, primaryKey: ['uuid'] },
      {
        name: longName,
        columns: { ...uuid, aLongName: 'string' },
        primaryKey: ['uuid'],
        indexes: [['aLongName']],
      },
    ],
    addColumns: { AVO: { one: 'int?', two: 'text?' } },
  }
  for (const last of [1, 2, 3, 4]) {
    let statements = 0
    const execute = async (sql: string) => {
      statements += 1
      if (statements > last) throw new Error('killed')
      await db.execute(sql)
    }
    await assert.rejects(migrate({ ...db, execute }, [migration]), /killed/)
  }
  assert.deepEqual(await migrate(db, [migration]), ['0001-cut'])
  assert.deepEqual(await migrate(db, [migration]), [])
  await db.write((tx) => tx.run('INSERT INTO `AVO` (`uuid`, `one`, `two`) VALUES (?, ?, ?)', ['a', 1, 'x']))
})

test('a server that stands still while a connection is prepared is left for the next', {
  skip,
}, async (t) => {
  const where = await place(t)
  const still = await proxy(t, where, (sent) => (sent.includes('sql_mode') ? 'silence' : undefined))
  const db = open(t, where, [still])
  assert.deepEqual(await uuids(db), [])
  await db.write((tx) => add(tx, 'a'))
  assert.deepEqual(await uuids(db), ['a'])
})
