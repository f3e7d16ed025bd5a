import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expungePeriod } from '#plugins/vm/contract/configs.ts'
import { assertRefused, createTestCloud, inventoryOf } from '#testkit'
import { queryGlobalConfig, updateGlobalConfig } from '../contract/apis.ts'

const key = { category: 'vm', name: 'expungePeriod' }
const named = (name: string) => ({ conditions: [{ name: 'name', op: '=' as const, value: name }] })

test('every configuration is listed with its meaning, default and value', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const all = await cloud.query(queryGlobalConfig)
  assert.ok(all.length > 30)
  for (const config of all) {
    assert.ok(String(config.description).length > 5, `${config.category}.${config.name} says what it is`)
    assert.equal(config.value, config.defaultValue)
  }
  assert.equal(new Set(all.map((c) => c.id)).size, all.length)
  const [one] = await cloud.query(queryGlobalConfig, named('expungePeriod'))
  assert.deepEqual(
    [one?.category === 'vm' || one?.category === 'volume' || one?.category === 'image'],
    [true],
  )
})

test('a change counts at once, outlives a restart, and is taken back by giving no value', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const value = async () =>
    (await cloud.query(queryGlobalConfig, named(key.name))).find((c) => c.category === 'vm')?.value
  const shown = inventoryOf(await cloud.call(updateGlobalConfig, { ...key, value: '60' }))
  assert.deepEqual([shown.value, shown.defaultValue, shown.category], ['60', '604800', 'vm'])
  await cloud.restart()
  assert.equal(await value(), '60')
  await cloud.call(updateGlobalConfig, key)
  assert.equal(await value(), '604800')
})

test('values that cannot be are refused, telling what can; unknown names get a suggestion', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  const refuse = (category: string, name: string, value: string, says: RegExp, code = 'SYS.1007') =>
    assertRefused(cloud, updateGlobalConfig, { category, name, value }, { code, says })
  await refuse('vm', 'expungePeriod', '0', /vm\.expungePeriod must be between 1 and 31536000, got 0/)
  await refuse('vm', 'expungePeriod', 'soon', /whole number/)
  await refuse('vm', 'deletionPolicy', 'Later', /one of \[Direct, Delay, Never\]/)
  await refuse('vm', 'dataVolume.deleteOnVmDestroy', 'yes', /true or false/)
  await refuse('mevoco', 'overProvisioning.memory', '0', /must match/)
  await refuse('mevoco', 'overProvisioning.memory', '0.0', /must match/)
  await refuse('mevoco', 'overProvisioning.memory', '-1', /must match/)
  await refuse('mevoco', 'overProvisioning.primaryStorage', '0', /must match/)
  await refuse('primaryStorage', 'reservedCapacity', 'lots', /must match/)
  await refuse('vm', 'expungePeriode', '1', /did you mean 'vm\.expungePeriod'\?/, 'SYS.1003')
  await assertRefused(
    cloud,
    updateGlobalConfig,
    { name: 'x' },
    { code: 'SYS.1007', field: 'category', says: /mandatory/ },
  )
})

test('a stored value that is no longer allowed does not keep the cloud from starting', async (t) => {
  const cloud = await createTestCloud()
  t.after(() => cloud.dispose())
  await cloud.cloud.context.db.write((tx) =>
    tx.run('UPDATE GlobalConfigVO SET value = ? WHERE category = ? AND name = ?', [
      'never',
      'vm',
      'expungePeriod',
    ]),
  )
  await cloud.restart()
  assert.equal(cloud.cloud.context.config.get(expungePeriod), expungePeriod.defaultValue)
  await cloud.call(updateGlobalConfig, { ...key, value: '60' })
  assert.equal(cloud.cloud.context.config.get(expungePeriod), 60)
})
