import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineApi, defineQuery, defineResource, text } from '#contract'
import { bodyParameters } from './parameters.ts'
import { HttpFailure } from './reply.ts'
import { createRouter } from './router.ts'
import { echoThing } from './testing/thing-contract.ts'
import { formatTime } from './time.ts'

test('times are what the clients of the original parse', () => {
  const at = (...parts: [number, number, number, number, number, number]) => formatTime(+new Date(...parts))
  assert.equal(at(2017, 10, 14, 14, 20, 57), 'Nov 14, 2017 2:20:57 PM')
  assert.equal(at(2026, 0, 1, 0, 0, 0), 'Jan 1, 2026 12:00:00 AM')
  assert.equal(at(2026, 11, 31, 12, 5, 9), 'Dec 31, 2026 12:05:09 PM')
  assert.equal(at(2026, 4, 2, 11, 59, 59), 'May 2, 2026 11:59:59 AM')
})

const api = (name: string, path: string, method: 'GET' | 'POST' = 'GET') =>
  defineApi({ name, message: `x.API${name}Msg`, path, method, summary: name, input: {} })

const segments = (path: string) => path.split('/').slice(1)

test('literal segments win over variables, and a dead end goes back to them', () => {
  const router = createRouter([
    api('ByUuid', '/a/{uuid}'),
    api('Fixed', '/a/fixed'),
    api('Deep', '/a/{uuid}/deep'),
    api('Fixed2', '/a/fixed/other'),
  ])
  const found = (path: string) => router.find(segments(path)).map((m) => [m.api.name, m.variables])
  assert.deepEqual(found('/a/fixed'), [['Fixed', {}]])
  assert.deepEqual(found('/a/x'), [['ByUuid', { uuid: 'x' }]])
  assert.deepEqual(found('/a/fixed/deep'), [['Deep', { uuid: 'fixed' }]])
  for (const unknown of ['/a', '/a/', '/a/x/', '/b', '', '/a/x/deep/er']) assert.deepEqual(found(unknown), [])
})

test('a variable may be called differently in each API, and each gets its own name', () => {
  const router = createRouter([api('Get', '/a/{uuid}'), api('Post', '/a/{zoneUuid}', 'POST')])
  assert.deepEqual(
    router.find(['a', '1']).map((m) => m.variables),
    [{ uuid: '1' }, { zoneUuid: '1' }],
  )
})

test('two APIs may not claim the same place', () => {
  assert.throws(
    () => createRouter([api('One', '/a/{x}'), api('Two', '/a/{y}')]),
    /One and Two both claim GET/,
  )
})

test('every query can be asked by key, unless the path is taken', () => {
  const resource = defineResource({ name: 'A', className: 'x.A', fields: { uuid: text('Uuid.') } })
  const spec = { name: 'QueryA', message: 'x.APIQueryAMsg', path: '/a', resource, optionalPaths: [] }
  assert.deepEqual(createRouter([defineQuery(spec)]).find(['a', '1'])[0]?.byKey, true)
  const taken = createRouter([defineQuery(spec), api('GetA', '/a/{uuid}')]).find(['a', '1'])
  assert.deepEqual(
    taken.map((m) => m.api.name),
    ['GetA'],
  )
})

test('a boolean that is an object without a text form is refused, not a failure of the server', () => {
  const body = { params: { loud: { toString: 'x' } } }
  assert.throws(
    () => bodyParameters({ ...echoThing, parameterName: 'params' }, body),
    (error) => error instanceof HttpFailure && error.status === 400 && /loud/.test(error.message),
  )
})
