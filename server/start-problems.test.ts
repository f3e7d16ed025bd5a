import assert from 'node:assert/strict'
import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '#testkit'
import { problem, refusal } from './start.testing.ts'

test('places that cannot be listened on are named, and nothing is made', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const dir = join(tempDir(t), 'data')
  const wrong: [string, RegExp][] = [
    [`127.0.0.1:${port}`, /--api cannot listen: .*EADDRINUSE.* \(another program listens there; .+\)/],
    ['192.0.2.7:8080', /--api cannot listen: .*EADDRNOTAVAIL.* \(this machine does not have that address\)/],
    ['nosuch.invalid:8080', /--api cannot listen: .*nosuch\.invalid.*/],
    ['fd:77', /--api fd:77 is not open; .+/],
    ['fd:0', /--api fd:0 is no socket/],
  ]
  for (const [api, says] of wrong)
    assert.match(await refusal(t, '--data-dir', dir, '--api', api), problem(says))
  assert.equal(existsSync(dir), false)
})

test('all that is wrong is told at once, one line each, and nothing is begun', async (t) => {
  const dir = tempDir(t)
  const options = ['--frob', '1', '--api', 'x', '--ui', '99999', '--address', 'a b', '--bogus']
  const said = (await refusal(t, ...options, '--database', 'db1')).trim().split('\n')
  assert.match(said.shift() ?? '', /^usage: /)
  const told = said.map((line) => line.replace('zstack: the management node could not start: ', ''))
  assert.deepEqual(told, [
    'there is no option --frob',
    'there is no option --bogus',
    '--data-dir is missing: the directory of the database and the keys',
    "--api must be [HOST:]PORT or fd:N, got 'x'",
    "--ui must be [HOST:]PORT or fd:N, got '99999'",
    "--address must be a host name or an address, got 'a b'",
    '--database must be mysql://USER@HOST[:PORT][,HOST[:PORT]...]/NAME',
  ])
  chmodSync(dir, 0o777)
  writeFileSync(join(dir, 'node.uuid'), 'x')
  writeFileSync(join(dir, 'secret.key'), 'x')
  const places = ['--api', '192.0.2.7:1', '--ui', '192.0.2.8:1']
  const begun = await refusal(t, '--data-dir', dir, ...places)
  assert.equal(begun.trim().split('\n').length, 5, begun)
  assert.match(begun, /may be written by others \(mode 777\); chmod 700/)
  assert.match(begun, /node\.uuid does not hold/)
  assert.match(begun, /cannot use the key file/)
  assert.match(begun, /--api cannot listen/)
  assert.match(begun, /--ui cannot listen/)
  assert.deepEqual(readdirSync(dir).sort(), ['node.uuid', 'secret.key'])
})

test('a database and a message broker that do not answer are both told', async (t) => {
  const dir = tempDir(t)
  const password = join(dir, 'password')
  writeFileSync(password, 'hush')
  const at = ['--database', 'mysql://u@127.0.0.1:1/d', '--bus', 'amqp://u@127.0.0.1:1']
  const passwords = ['--database-password-file', password, '--bus-password-file', password]
  const where = ['--data-dir', join(dir, 'data'), '--api', '127.0.0.1:0']
  const said = (await refusal(t, ...where, ...at, ...passwords)).trim().split('\n')
  assert.equal(said.length, 2, said.join('\n'))
  assert.match(said[0] ?? '', /: --database no database server answers \(127\.0\.0\.1:1: .*ECONNREFUSED/)
  assert.match(said[1] ?? '', /: --bus no message broker can be used \(127\.0\.0\.1:1: .*ECONNREFUSED/)
  assert.ok(!said.join().includes('hush'))
  assert.equal(existsSync(join(dir, 'data')), false)
})

test('API and UI cannot share a port', async (t) => {
  const dir = join(tempDir(t), 'data')
  const said = await refusal(t, '--data-dir', dir, '--api', '127.0.0.1:8099', '--ui', '8099')
  assert.match(said, /^usage: .*\n.*: --api and --ui cannot both be 8099; choose another for one of them\n$/)
})
