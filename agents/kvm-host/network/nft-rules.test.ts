import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flatNames, shortIdOf } from './flat-names.ts'
import { aLease, aNetwork } from './network-fixture.ts'
import { buildNftRules } from './nft-rules.ts'

const names = flatNames(aNetwork.l3NetworkUuid)

test('names fit an interface and differ between networks', () => {
  assert.equal(names.namespace, 'zs-a1b2c3d4e5f')
  assert.ok(names.port.length <= 15)
  assert.match(names.serverMac, /^f2(:[0-9a-f]{2}){5}$/)
  assert.notEqual(names.serverMac, flatNames('b'.repeat(32)).serverMac)
  assert.equal(shortIdOf(names.namespace, 'zs-'), 'a1b2c3d4e5f')
  assert.equal(shortIdOf('zs-mine', 'zs-'), undefined)
})

test('the table is replaced whole and named after its content', () => {
  const rules = buildNftRules(names, aNetwork, [aLease])
  assert.match(rules.text, /^table bridge zs_a1b2c3d4e5f\ndelete table bridge zs_a1b2c3d4e5f\n/)
  assert.ok(rules.text.includes(`chain ${rules.marker} {`))
  assert.match(rules.text, /elements = \{ fa:00:00:00:00:01 \. 10\.0\.0\.11 \}/)
  const moved = buildNftRules(names, aNetwork, [{ ...aLease, ip: '10.0.0.12' }])
  assert.notEqual(moved.marker, rules.marker)
  assert.equal(buildNftRules(names, aNetwork, [aLease]).marker, rules.marker)
})

test('a set without elements says so by leaving them out', () => {
  assert.doesNotMatch(buildNftRules(names, aNetwork, []).text, /elements/)
  assert.match(buildNftRules(names, aNetwork, [{ ...aLease, tap: 'vnic1.0' }]).text, /\{ "vnic1\.0" \. fa:/)
})
