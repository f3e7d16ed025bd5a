import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bridgeName } from './bridge-name.ts'

test('a bridge is named after its interface, within what Linux allows', () => {
  assert.equal(bridgeName('eth0'), 'br_eth0')
  assert.equal(bridgeName('enp94s0f1np1'), 'br_enp94s0f1np1')
  const [one, two] = [bridgeName('enp194s0f1np10'), bridgeName('enp194s0f1np11')]
  for (const name of [one, two]) assert.match(name, /^br_[0-9a-f]{12}$/)
  assert.notEqual(one, two)
})
