import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '#testkit'
import { readDatabase } from './database-config.ts'

const read = (url: string | undefined, password?: string, passwordFile?: string) => {
  const problems: string[] = []
  return { options: readDatabase({ url, password, passwordFile }, problems), problems }
}

test('a URL names user, servers and database; the password comes from a file or the environment', (t) => {
  const { options, problems } = read('mysql://zstack@db1,db2:3307,[::1]:3308/cloud', 'secret')
  assert.deepEqual(problems, [])
  const { poolSize, ...rest } = options ?? { poolSize: 0 }
  assert.ok(poolSize > 0)
  assert.deepEqual(rest, {
    endpoints: [
      { host: 'db1', port: 3306 },
      { host: 'db2', port: 3307 },
      { host: '::1', port: 3308 },
    ],
    user: 'zstack',
    password: 'secret',
    database: 'cloud',
  })
  const file = join(tempDir(t), 'password')
  writeFileSync(file, 'from file\n')
  assert.equal(read('mysql://zstack@db1/cloud', 'secret', file).options?.password, 'from file')
  assert.deepEqual(read(undefined), { options: undefined, problems: [] })
})

test('each problem is one line, and none repeats a password', () => {
  for (const url of [
    'db1',
    'mysql://db1/cloud',
    'mysql://u@db1',
    'mysql://u@db1/a b',
    'mysql://u:pw@x@db1/c',
  ])
    assert.deepEqual(read(url, 'p').problems, [
      '--database must be mysql://USER@HOST[:PORT][,HOST[:PORT]...]/NAME',
    ])
  const { problems } = read('mysql://u:hush@db1:99999,a:b:c/cloud', undefined, '/nowhere/password')
  assert.equal(problems.length, 4)
  assert.match(problems[0] ?? '', /must not hold the password/)
  assert.match(problems[1] ?? '', /'db1:99999' is no HOST/)
  assert.match(problems[2] ?? '', /'a:b:c' is no HOST/)
  assert.match(problems[3] ?? '', /cannot be read: ENOENT.*\/nowhere\/password/)
  assert.ok(!problems.join().includes('hush'))
  assert.match(read('mysql://u@db1/cloud').problems[0] ?? '', /needs a password/)
  assert.match(read(undefined, undefined, '/x').problems[0] ?? '', /needs --database/)
})
