import assert from 'node:assert/strict'
import { test } from 'node:test'
import { duration } from './explanation.ts'
import { complete } from './interactive.ts'
import { parseLiteral } from './literal.ts'
import { splitList } from './parameters.ts'
import { splitLine } from './split-line.ts'
import { suggest } from './suggest.ts'
import { formatTable } from './table.ts'

test('literals are read as JSON or as Python writes them', () => {
  const cases: [string, unknown][] = [
    ['{}', {}],
    ['[]', []],
    [`{'a': [1, -2.5, True, False, None], "b": 'it\\'s'}`, { a: [1, -2.5, true, false, null], b: "it's" }],
    [`[u'x', "y\\u0041\\n",]`, ['x', 'yA\n']],
    ["('a', 'b')", ['a', 'b']],
    [' {"__proto__": 1} ', JSON.parse('{"__proto__": 1}')],
  ]
  for (const [text, value] of cases) assert.deepEqual(parseLiteral(text), value, text)
  for (const bad of ['', '{', '[1', '{1}', '[a]', "{'a' 1}", '[1]]', '[1 2]', "['x]", '__import__("os")'])
    assert.throws(() => parseLiteral(bad), SyntaxError, bad)
})

test('lists', () => {
  assert.deepEqual(splitList('a,b'), ['a', 'b'])
  assert.deepEqual(splitList('a\\,b,"c,d",e"f'), ['a,b', 'c,d', 'e"f'])
  assert.deepEqual(splitList(''), [''])
})

test('typed lines', () => {
  assert.deepEqual(splitLine(`  a  b='c d' "e \\"f\\"" g\\ h ''`), ['a', 'b=c d', 'e "f"', 'g h', ''])
  assert.deepEqual(splitLine(''), [])
  assert.deepEqual(splitLine(`name='unfinished x`), ['name=unfinished x'])
})

test('suggestions', () => {
  assert.equal(suggest('creatzone', ['CreateZone', 'DeleteZone']), 'CreateZone')
  assert.equal(suggest('Quer', ['CreateZone', 'QueryVmInstance']), 'QueryVmInstance')
  assert.equal(suggest('Xyzzy', ['CreateZone']), undefined)
})

test('a table keeps to the width it has', () => {
  const rows = [{ name: 'n', long: 'x'.repeat(30), uuid: 'u' }]
  assert.equal(formatTable(rows, 20), 'name  uuid\n----  ----\nn     u')
  assert.match(formatTable(rows, undefined), /long/)
  assert.equal(formatTable([], 80), '')
  const error = { code: 'SYS.1016', description: 'd', details: 'the host is away' }
  assert.match(formatTable([{ error }], undefined), /\nSYS\.1016 the host is away$/)
})

test('completion: API names first, then parameters or fields', () => {
  const api = { message: '', needSession: true, summary: '', example: {}, result: [] }
  const param = { type: 'string', required: true, description: '' }
  const contract = {
    version: '1',
    apis: [
      { ...api, name: 'CreateZone', kind: 'job' as const, params: [{ ...param, name: 'name' }] },
      { ...api, name: 'QueryZone', kind: 'query' as const, params: [], inventory: 'Z' },
    ],
    inventories: [{ name: 'Z', fields: [{ name: 'state', type: 'string' }], relations: {} }],
  }
  const loaded = { contract, isStale: false }
  assert.deepEqual(complete(loaded, 'cre'), [['CreateZone '], 'cre'])
  assert.deepEqual(complete(loaded, 'CreateZone n'), [['name='], 'n'])
  assert.deepEqual(complete(loaded, 'QueryZone sta'), [['state=', 'start='], 'sta'])
  assert.deepEqual(complete(loaded, 'help Q'), [['QueryZone '], 'Q'])
})

test('durations are told in the two units that matter', () => {
  const cases = { 0: '0 ms', 999: '999 ms', 1200: '1.2 s', 59900: '59.9 s', 192000: '3 min 12 s' }
  for (const [ms, words] of Object.entries(cases)) assert.equal(duration(Number(ms)), words)
  assert.equal(duration(2 * 3_600_000 + 300_000), '2 h 5 min')
  assert.equal(duration(3 * 86_400_000), '3 d 0 h')
})
