import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '#testkit'
import { Scope } from './disposable.ts'
import { isUuid, newOrderedUuid, newUuid } from './ids.ts'
import { createLogger } from './log.ts'
import { formatSize, parseSize } from './size.ts'
import { waitFor } from './wait-for.ts'

test('a scope stops in reverse order, attempts all, and throws what failed', async () => {
  const order: string[] = []
  const scope = new Scope()
  scope.onDispose(async () => void order.push('first'))
  scope.onDispose(() => {
    throw new Error('second')
  })
  scope.onDispose(async () => void order.push('third'))
  await assert.rejects(scope.dispose(), /second/)
  assert.deepEqual(order, ['third', 'first'])
  await scope.dispose()
  assert.deepEqual(order, ['third', 'first'], 'a second dispose stopped something again')
  for (const name of ['a', 'b']) scope.onDispose(() => Promise.reject(new Error(name)))
  await assert.rejects(scope.dispose(), (error: AggregateError) => error.errors.length === 2)
})

test('sizes are read exactly or refused', () => {
  const cases = { '0': 0, '512': 512, '1K': 1024, '3m': 3 * 2 ** 20, ' 2G ': 2 ** 31, '1T': 2 ** 40 }
  for (const [text, bytes] of Object.entries(cases)) assert.equal(parseSize(text), bytes)
  for (const text of ['', 'G', '-1', '1.5G', '1GB', '0x10', '1e3', '99999999T', '9007199254740993'])
    assert.throws(() => parseSize(text), /size/, text)
  assert.equal(formatSize(1610612736), '1.5 GiB')
  assert.equal(formatSize(0), '0 B')
})

test('new uuids are accepted as uuids; dashes, capitals and other lengths are not', () => {
  const uuid = newUuid()
  assert.ok(isUuid(uuid))
  for (const bad of [
    '',
    uuid.toUpperCase().replace(/^./, 'A'),
    `${uuid}0`,
    uuid.slice(1),
    `${uuid.slice(0, 31)}\n`,
  ])
    assert.equal(isUuid(bad), false, bad)
})

test('no secret reaches the log, at any depth, in lists, in bindings of children', (t) => {
  const file = join(tempDir(t), 'log')
  const fd = openSync(file, 'w')
  t.after(() => closeSync(fd))
  const log = createLogger({ name: 'test', level: 'debug', fd })
  const input = {
    host: { ssh: [{ sshPassword: 'hush', user: 'root' }], a: { b: { c: { d: { token: 'hush' } } } } },
  }
  log.info({ password: 'hush', key: 'hush', sessionUuid: 'hush', input }, 'words')
  log.child({ secret: 'hush', plugin: 'x' }).warn({ consolePassword: 'hush', n: 1 }, 'words')
  log
    .child({})
    .child({ input: { privateKey: 'hush' } })
    .error({ err: new Error('kept') }, 'words')
  const text = readFileSync(file, 'utf8')
  assert.doesNotMatch(text, /hush/)
  for (const kept of ['"user":"root"', '"plugin":"x"', '"n":1', '"message":"kept"'])
    assert.ok(text.includes(kept), kept)
  assert.equal(input.host.ssh[0]?.sshPassword, 'hush', 'logging changed the value it was given')
})

test('a circle in the fields of a log line does no harm', (t) => {
  const file = join(tempDir(t), 'log')
  const fd = openSync(file, 'w')
  t.after(() => closeSync(fd))
  const circle: Record<string, unknown> = { name: 'a' }
  circle.self = circle
  createLogger({ name: 'test', fd }).info({ circle }, 'words')
  assert.match(readFileSync(file, 'utf8'), /words/)
})

test('ordered uuids sort in the order of their making, are of the accepted form, and all differ', async () => {
  const uuids = Array.from({ length: 5_000 }, () => newOrderedUuid())
  assert.ok(uuids.every(isUuid))
  assert.equal(new Set(uuids).size, uuids.length)
  const before = newOrderedUuid()
  const time = Date.now()
  await waitFor('the clock', () => Date.now() > time, { intervalMs: 1 })
  assert.ok(before < newOrderedUuid())
})
