import assert from 'node:assert/strict'
import { test } from 'node:test'
import { propertiesOf, withTimeGoneBy } from './rabbit-properties.ts'

const call = {
  kind: 'call',
  id: 'a.1.7',
  from: 'a',
  toRun: 1,
  message: 'vm.attach',
  input: {},
  passes: 0,
} as const

test('only a call with a deadline may be dropped by the broker', () => {
  assert.equal(propertiesOf({ ...call, leftMs: 1_500 }).expiration, '1500')
  assert.equal(propertiesOf(call).expiration, undefined)
  assert.equal(propertiesOf({ kind: 'reply', id: 'a.1.7', from: 'b' }).expiration, undefined)
  const news = propertiesOf({ kind: 'news', from: 'a', name: 'cluster.changed', data: {} })
  assert.deepEqual(news, { type: 'news cluster.changed', headers: { 'zstack-from': 'a' } })
})

test('a call that waited for a broker has less time left; one whose time is up is not sent', () => {
  assert.deepEqual(withTimeGoneBy({ ...call, leftMs: 1_500 }, 500.5), { ...call, leftMs: 999 })
  assert.equal(withTimeGoneBy({ ...call, leftMs: 1_500 }, 1_500), undefined)
  assert.equal(withTimeGoneBy(call, 1e9), call)
})
