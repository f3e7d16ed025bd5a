import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBus } from './bus-config.ts'

const read = (url: string | undefined, more: object = {}) => {
  const problems: string[] = []
  const settings = { url, passwordFile: undefined, password: 'secret', hasDatabase: true, ...more }
  return { options: readBus(settings, problems), problems }
}

test('a URL names user, brokers in their order and virtual host; without one the node is alone', () => {
  assert.deepEqual(read(undefined), { options: undefined, problems: [] })
  const { options, problems } = read('amqp://zstack@mq1,mq2:5673,mq3/cloud')
  assert.deepEqual(problems, [])
  assert.deepEqual(options, {
    brokers: ['mq1:5672', 'mq2:5673', 'mq3:5672'],
    user: 'zstack',
    password: 'secret',
    virtualHost: 'cloud',
    tls: false,
  })
  const tls = read('amqps://zstack@mq1').options
  assert.deepEqual([tls?.brokers, tls?.virtualHost, tls?.tls], [['mq1:5671'], '/', true])
})

test('every problem is told in a line of its own, and no password is repeated', () => {
  const { problems } = read('amqp://zstack:hunter2@mq1,:99999/v', { password: undefined, hasDatabase: false })
  assert.equal(problems.length, 4)
  for (const [i, says] of [
    /--bus needs --database: several management nodes share one MariaDB/,
    /--bus must not hold the password/,
    /':99999' is no HOST\[:PORT\]/,
    /--bus needs a password: give --bus-password-file FILE or set ZSTACK_BUS_PASSWORD/,
  ].entries())
    assert.match(String(problems[i]), says)
  assert.ok(!problems.join().includes('hunter2'))
  assert.match(String(read('mq1:5672').problems[0]), /--bus must be amqp:\/\/USER@HOST/)
  assert.deepEqual(read(undefined, { passwordFile: 'x' }).problems, ['--bus-password-file needs --bus'])
  assert.deepEqual(read(undefined, { authorityFile: 'x' }).problems, ['--bus-ca needs --bus'])
  const plain = read('amqp://z@mq1', { authorityFile: '/no/such' }).problems
  assert.match(String(plain[0]), /--bus-ca is for amqps:\/\/; with amqp:\/\/ nothing is encrypted/)
  assert.match(String(plain[1]), /--bus-ca cannot be read: ENOENT/)
  assert.match(
    String(read('amqp://z@mq1', { passwordFile: '/no/such' }).problems[0]),
    /--bus-password-file cannot be read/,
  )
})
