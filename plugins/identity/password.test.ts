import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashPassword, sentForm, verifyPassword } from './password.ts'

const costs = [undefined, { memory: 64, passes: 1 }]

for (const cost of costs)
  test(`a password of ${cost ? 'another' : 'the usual'} cost is known by its hash, another one is not`, async () => {
    const stored = await hashPassword(sentForm('s3cret'), cost)
    assert.match(
      stored,
      cost ? /^argon2id\$64,1\$[0-9a-f]{32}\$[0-9a-f]{64}$/ : /^argon2id\$[0-9a-f]{32}\$[0-9a-f]{64}$/,
    )
    assert.equal(await verifyPassword(stored, sentForm('s3cret')), true)
    assert.equal(await verifyPassword(stored, sentForm('secret')), false)
  })

test('a password that an earlier version stored is known', async () => {
  const stored =
    'argon2id$d0334752635f7f8e54ef5b4809d1ec0d$16429476d6da391ea2dcb5c1712e0a2ef83818ddebfd4921286b63c81285b470'
  assert.equal(await verifyPassword(stored, sentForm('password')), true)
})
