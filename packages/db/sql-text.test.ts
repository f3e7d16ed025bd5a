import assert from 'node:assert/strict'
import { test } from 'node:test'
import { combine, literal, writeOut } from './sql-text.ts'
import { rowsOf, shapeOf } from './statement-shape.ts'

test('values are written so that none can end its quotes, whatever the mode of the session', () => {
  assert.equal(literal('{"a": [1]}'), `'{"a": [1]}'`)
  assert.equal(literal("x'; DROP TABLE T"), "_utf8mb4 x'78273b2044524f50205441424c452054'")
  assert.equal(literal('a\\'), "_utf8mb4 x'615c'")
  assert.equal(literal('ä\n'), "_utf8mb4 x'c3a40a'")
  assert.equal(literal(new Uint8Array([0, 255])), "x'00ff'")
  assert.deepEqual(
    [literal(null), literal(-1.5), literal(2n ** 60n)],
    ['NULL', '-1.5', '1152921504606846976'],
  )
  assert.throws(() => literal(Number.NaN), /NaN cannot be stored/)
  assert.equal(
    writeOut('UPDATE T SET a = ? WHERE b = ?', ['?', 1]),
    "UPDATE T SET a = _utf8mb4 x'3f' WHERE b = 1",
  )
  assert.throws(() => writeOut('SELECT ?', []), /1 values are wanted, 0 given/)
})

test('neighbouring inserts of a table become one, and the order within a table stays', () => {
  const insert = (table: string, n: number) => ({
    table,
    sql: `INSERT INTO ${table} (n) VALUES (?)`,
    params: [n],
  })
  const update = { table: 'A', sql: 'UPDATE A SET n = ?', params: [9] }
  const statements = combine([insert('A', 1), insert('B', 1), insert('A', 2), update, insert('A', 3)])
  assert.deepEqual(
    statements.map(({ text, of }) => [text, of.length]),
    [
      ['INSERT INTO A (n) VALUES (1),(2)', 2],
      ['UPDATE A SET n = 9', 1],
      ['INSERT INTO A (n) VALUES (3)', 1],
      ['INSERT INTO B (n) VALUES (1)', 1],
    ],
  )
})

test('statements tell which rows they are about, or that they do not tell', () => {
  const told = (sql: string, params: (string | number)[] = []) => {
    const rows = rowsOf(shapeOf(sql), params)
    return rows && [rows.table, Object.fromEntries(rows.values)]
  }
  assert.deepEqual(
    told('SELECT `a`,`b` FROM `T` WHERE `a` = ? AND `b` >= ? ORDER BY `b` LIMIT 1', ['x', 1]),
    ['T', { a: 'x' }],
  )
  assert.deepEqual(told('SELECT `a` FROM `T` WHERE `a` IN (?,?) AND `b` = ?', ['x', 'y', 1]), ['T', { b: 1 }])
  assert.deepEqual(
    told('UPDATE `T` SET `a` = ?, `n` = `n` + ? WHERE `a` = ? AND `b` = ?', ['y', 1, 'x', 2]),
    ['T', { b: 2 }],
  )
  assert.deepEqual(told('INSERT INTO `T` (`a`,`b`) VALUES (?,?)', ['x', 1]), ['T', { a: 'x', b: 1 }])
  assert.deepEqual(told('DELETE FROM `T` WHERE `a` = ?', ['x']), ['T', { a: 'x' }])
  for (const vague of [
    'SELECT `a` FROM `T` WHERE `a` = ? OR `b` = ?',
    'SELECT `a` FROM `T` JOIN `U` WHERE `a` = ?',
    'SELECT `a` FROM `T` WHERE `a` IN (SELECT `b` FROM `U`)',
    'UPDATE `T` SET `a` = (SELECT 1) WHERE `b` = ?',
    'INSERT INTO `T` (`a`) SELECT `a` FROM `U`',
    'DELETE FROM `T`',
  ])
    assert.equal(told(vague, ['x', 'y']), undefined, vague)
})
