import assert from 'node:assert/strict'
import { cp, readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { clusterKeyMigration } from '#cluster'
import { tempDatabase, tempDir } from '#testkit'
import { checkSharedKeys, shareKeys } from './shared-keys.ts'

test('the keys of the first node are those of the cloud: another one needs copies, and is told so before it makes its own', async (t) => {
  const { db } = await tempDatabase(t, [clusterKeyMigration])
  const [first, second, stranger] = [tempDir(t), tempDir(t), tempDir(t)]
  assert.deepEqual(await checkSharedKeys(db, first), [], 'a new cloud has no keys yet')
  await shareKeys(db, first)
  await shareKeys(db, first)
  const [problem = '', ...more] = await checkSharedKeys(db, second)
  assert.match(problem, /does not have the keys of this cloud \((secret\.key|agent-authority).*\): copy them/)
  assert.deepEqual([more, await readdir(second)], [[], []])
  for (const name of ['secret.key', 'agent-authority'])
    await cp(`${first}/${name}`, `${second}/${name}`, { recursive: true })
  assert.deepEqual(await checkSharedKeys(db, second), [])
  await shareKeys(db, second)
  await assert.rejects(shareKeys(db, stranger), /does not have the keys of this cloud/)
})
