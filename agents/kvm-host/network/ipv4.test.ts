import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isIpv4, networkAddress, prefixLength } from './ipv4.ts'

test('only canonical dotted quads are addresses', () => {
  for (const good of ['0.0.0.0', '10.0.0.1', '255.255.255.255']) assert.equal(isIpv4(good), true, good)
  const bad = [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.4\n',
    ' 1.2.3.4',
    '1.2.3.4,x',
    '::1',
    '1e1.2.3.4',
  ]
  for (const text of bad) assert.equal(isIpv4(text), false, text)
})

test('a netmask has its ones in front', () => {
  assert.equal(prefixLength('255.255.255.0'), 24)
  assert.equal(prefixLength('255.255.255.255'), 32)
  assert.equal(prefixLength('0.0.0.0'), 0)
  assert.equal(prefixLength('255.0.255.0'), undefined)
  assert.equal(prefixLength('24'), undefined)
})

test('the network address keeps the high bit', () => {
  assert.equal(networkAddress('200.1.130.9', '255.255.128.0'), '200.1.128.0')
})
