import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anything, bool, defineResource, int, list, optional, struct, text, timestamp } from '#contract'
import { tempDatabase } from '#testkit'
import { count, find, findOne, get, insert, remove, update } from './records.ts'
import type { Migration } from './schema.ts'
import { atLeast, atMost, isNull, lessThan, like, not, notNull, oneOf, plus } from './where.ts'

const thing = defineResource({
  name: 'Thing',
  className: 'x.Thing',
  fields: {
    uuid: text('u'),
    name: text('n'),
    size: int('s'),
    on: bool('o'),
    note: optional(text('n')),
    seen: optional(timestamp('s')),
    tags: optional(list('t', text('t'))),
    extra: optional(anything('e')),
    place: optional(struct('Place', 'p', { row: int('r') })),
  },
})
const schema: Migration = {
  id: '0001-thing',
  create: [
    {
      name: 'ThingVO',
      columns: {
        uuid: 'uuid',
        name: 'string',
        size: 'int',
        on: 'boolean',
        note: 'text?',
        seen: 'time?',
        tags: 'json?',
        extra: 'json?',
        place: 'json?',
      },
      primaryKey: ['uuid'],
      unique: [['name']],
    },
  ],
}
const rows = [
  { uuid: 'a', name: 'Alpha', size: 1, on: true },
  {
    uuid: 'b',
    name: 'beta',
    size: 2,
    on: false,
    note: 'n',
    seen: 5,
    tags: ['x', 'y'],
    extra: { plus: 1 },
    place: { row: 3 },
  },
  { uuid: 'c', name: 'gamma', size: 3, on: true, note: '' },
]

async function filled(t: Parameters<typeof tempDatabase>[0]) {
  const { db } = await tempDatabase(t, [schema])
  await db.write(async (tx) => {
    for (const row of rows) await insert(tx, thing, row)
  })
  return db
}

test('rows come back as they went in: booleans, absent members, JSON, empty strings', async (t) => {
  const db = await filled(t)
  assert.deepEqual(await find(db, thing, {}, { orderBy: ['uuid'] }), rows)
  assert.deepEqual(await get(db, thing, 'b'), rows[1])
  assert.equal(await findOne(db, thing, { uuid: 'zz' }), undefined)
  await assert.rejects(get(db, thing, 'zz'), { code: 'SYS.1003', details: 'Thing[uuid:zz] does not exist' })
})

test('every condition selects what it says, and an empty list selects nothing', async (t) => {
  const db = await filled(t)
  const keys = async (where: Parameters<typeof find<typeof thing.fields>>[2]) =>
    (await find(db, thing, where, { orderBy: ['uuid'] })).map((r) => r.uuid).join('')
  assert.equal(await keys({ size: atLeast(2) }), 'bc')
  assert.equal(await keys({ size: atMost(2) }), 'ab')
  assert.equal(await keys({ size: lessThan(2) }), 'a')
  assert.equal(await keys({ size: not(2) }), 'ac')
  assert.equal(await keys({ uuid: oneOf(['a', 'c', 'zz']) }), 'ac')
  assert.equal(await keys({ uuid: oneOf<string>([]) }), '')
  assert.equal(await keys({ note: isNull }), 'a')
  assert.equal(await keys({ note: notNull }), 'bc')
  assert.equal(await keys({ name: like('%a') }), 'abc')
  assert.equal(await keys({ name: 'ALPHA' }), 'a', 'names compare without regard to case')
  assert.equal(await keys({ uuid: 'A' }), '', 'uuids compare exactly')
  assert.equal(await keys({ on: true, size: atLeast(2) }), 'c')
  assert.equal(await keys({ on: oneOf([false]) }), 'b')
  assert.equal(await count(db, thing, { on: true }), 2)
})

test('changes: values, nothing, increments; and JSON that looks like an increment stays JSON', async (t) => {
  const db = await filled(t)
  const changed = (patch: Parameters<typeof update<typeof thing.fields>>[3]) =>
    db.write((tx) => update(tx, thing, { uuid: 'b' }, patch))
  assert.equal(await changed({ size: plus(40), note: undefined, on: true, seen: plus(-1) }), 1)
  assert.equal(await changed({ extra: { plus: 9 } }), 1)
  const b = await get(db, thing, 'b')
  assert.deepEqual([b.size, 'note' in b, b.on, b.seen, b.extra], [42, false, true, 4, { plus: 9 }])
  assert.equal(await db.write((tx) => update(tx, thing, { uuid: 'b', size: 1 }, { size: 2 })), 0)
  assert.equal(await changed({}), 1, 'an empty patch counts what it would change')
})

test('concurrent increments add up, and a guard lets exactly one through', async (t) => {
  const db = await filled(t)
  await Promise.all(
    Array.from({ length: 100 }, () => db.write((tx) => update(tx, thing, { uuid: 'a' }, { size: plus(1) }))),
  )
  assert.equal((await get(db, thing, 'a')).size, 101)
  const take = () => db.write((tx) => update(tx, thing, { uuid: 'a', on: true }, { on: false }))
  assert.deepEqual((await Promise.all([take(), take(), take()])).toSorted(), [0, 0, 1])
})

test('removing needs a condition', async (t) => {
  const db = await filled(t)
  await assert.rejects(
    db.write((tx) => remove(tx, thing, {})),
    /refusing to remove every row/,
  )
  await assert.rejects(
    db.write((tx) => remove(tx, thing, { uuid: undefined } as never)),
    /has no value/,
  )
  assert.equal(await db.write((tx) => remove(tx, thing, { on: true })), 2)
  assert.equal(await count(db, thing, {}), 1)
})

test('order, limit and offset page through everything', async (t) => {
  const db = await filled(t)
  const page = async (offset: number) =>
    (await find(db, thing, {}, { orderBy: ['name'], descending: true, limit: 2, offset })).map((r) => r.uuid)
  assert.deepEqual([await page(0), await page(2), await page(4)], [['c', 'b'], ['a'], []])
})
