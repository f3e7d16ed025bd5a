import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { defineResource, int, optional, text } from '#contract'
import { withoutMariadb as skip, tempDatabase, tempDir } from '#testkit'
import type { Database, Tx } from './database.ts'
import { count, discard, find, findOne, insert, remove, update } from './records.ts'
import { type Migration, migrate } from './schema.ts'
import { openSqlite } from './sqlite.ts'
import { UniqueConflict } from './storage-errors.ts'
import { atLeast, like, oneOf, plus } from './where.ts'

const item = defineResource({
  name: 'Item',
  className: 'test.Item',
  fields: { uuid: text('Key.'), name: text('Name.'), owner: optional(text('Owner.')), n: int('Number.') },
})
const place = defineResource({
  name: 'Place',
  className: 'test.Place',
  fields: { uuid: text('Key.'), free: int('Room.') },
})
const schema: Migration = {
  id: '0001-item',
  create: [
    {
      name: 'ItemVO',
      columns: { uuid: 'uuid', name: 'string', owner: 'uuid?', n: 'int' },
      primaryKey: ['uuid'],
      unique: [['name']],
      indexes: [['owner']],
    },
    { name: 'PlaceVO', columns: { uuid: 'uuid', free: 'int' }, primaryKey: ['uuid'] },
  ],
}

/** Numbers that look random and are the same for a seed every time. */
function randomOf(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    return ((state ^ (state >>> 13)) >>> 0) % below
  }
}

const NAMES = ['a', 'A', 'b', 'ä', "it's", '50%\\', 'c', 'd']
const uuidOf = (i: number) => String(i).padStart(32, '0')
type Step = (tx: Tx) => Promise<unknown>

/** What units do: guarded updates, find-then-insert, counts, searches, and failing in the middle. */
function randomStep(random: (below: number) => number): Step {
  const [key, name, amount] = [uuidOf(random(12)), NAMES[random(NAMES.length)] ?? '', random(4)]
  const [owner, other] = [uuidOf(random(3)), uuidOf(random(12))]
  const row = { uuid: key, name: `${name}${random(6)}`, n: amount }
  const steps: Step[] = [
    (tx) => insert(tx, item, { ...row, owner }),
    async (tx) => {
      const next = await count(tx, item, {})
      await insert(tx, item, { uuid: uuidOf(100 + next), name: `next-${next}`, n: next })
      return next
    },
    async (tx) => (await findOne(tx, item, { uuid: key })) ?? insert(tx, item, row),
    (tx) => insert(tx, item, row).catch((error) => error instanceof UniqueConflict && 'conflict'),
    (tx) => find(tx, item, { owner }, { orderBy: ['uuid'] }),
    (tx) => find(tx, item, { name: like(`${name}%`) }, { orderBy: ['uuid'] }),
    (tx) => find(tx, item, { uuid: oneOf([key, other]), n: atLeast(1) }, { orderBy: ['uuid'] }),
    (tx) => update(tx, item, { uuid: key }, { n: plus(1) }),
    (tx) => update(tx, item, { owner }, { n: plus(2) }),
    (tx) => update(tx, item, { uuid: key }, { owner, name: `${name}-renamed` }),
    (tx) => remove(tx, item, { uuid: key }),
    (tx) => discard(tx, item, { owner }),
    async (tx) => {
      const from = { uuid: owner, free: atLeast(amount) }
      if ((await update(tx, place, from, { free: plus(-amount) })) === 0) throw new Error('no room')
    },
    (tx) => find(tx, place, {}, { orderBy: ['free', 'uuid'], descending: true, limit: 1 }),
    async (tx) => Number((await tx.all('SELECT SUM(n) AS total FROM ItemVO', []))[0]?.total ?? 0),
    () => Promise.reject(new Error('a unit that fails')),
  ]
  return steps[random(steps.length)] as Step
}

function randomUnit(random: (below: number) => number): (tx: Tx) => Promise<unknown[]> {
  const steps = Array.from({ length: 1 + random(4) }, () => randomStep(random))
  return async (tx) => {
    const seen: unknown[] = []
    for (const step of steps) seen.push(await step(tx))
    return seen
  }
}

type Unit = ReturnType<typeof randomUnit>

async function outcomeOf(db: Database, unit: Unit): Promise<unknown> {
  return db.write(unit).then(
    (seen) => seen,
    (error: Error) => (error instanceof UniqueConflict ? 'conflict' : error.message),
  )
}

const contentOf = async (db: Database) => [
  await find(db, item, {}, { orderBy: ['uuid'] }),
  await find(db, place, {}, { orderBy: ['uuid'] }),
]

test('any text comes back as it went in, and is found', { skip }, async (t) => {
  const { db } = await tempDatabase(t, [schema])
  const names = [
    "it's",
    '\\',
    '\0',
    "'; DROP TABLE ItemVO; --",
    '?',
    '%_',
    '"',
    'ä\n\t',
    '😀',
    '$1',
    '``',
    ' ',
  ]
  const rows = names.map((name, i) => ({ uuid: uuidOf(i), name, n: i }))
  await Promise.all(rows.map((row) => db.write((tx) => insert(tx, item, row))))
  const changed = names.map((name) => db.write((tx) => update(tx, item, { name }, { n: plus(100) })))
  assert.deepEqual(
    await Promise.all(changed),
    names.map(() => 1),
  )
  const found = await Promise.all(names.map((name) => findOne(db, item, { name })))
  assert.deepEqual(
    found,
    rows.map((row) => ({ ...row, n: row.n + 100 })),
  )
})

test('units at the same time end as on SQLite one after another, whatever they read and change', {
  skip,
}, async (t) => {
  for (let seed = 1; seed <= 6; seed += 1) {
    const { db } = await tempDatabase(t, [schema])
    const model = openSqlite(join(tempDir(t), 'model.db'))
    t.after(() => model.close())
    await migrate(model, [schema])
    for (const one of [db, model])
      await one.write(async (tx) => {
        for (let i = 0; i < 3; i += 1) await insert(tx, place, { uuid: uuidOf(i), free: 10 })
      })
    const random = randomOf(seed)
    for (let group = 0; group < 4; group += 1) {
      const units = Array.from({ length: 40 }, () => randomUnit(random))
      const told = await Promise.all(units.map((unit) => outcomeOf(db, unit)))
      const expected: unknown[] = []
      for (const unit of units) expected.push(await outcomeOf(model, unit))
      for (const [i, one] of told.entries())
        assert.deepEqual(one, expected[i], `seed ${seed}, group ${group}, unit ${i}`)
      assert.deepEqual(await contentOf(db), await contentOf(model), `seed ${seed}, group ${group}`)
    }
  }
})
