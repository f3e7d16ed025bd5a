import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { probeBrokers } from './probe-rabbit.ts'

const login = { user: 'zstack', password: 'hush', virtualHost: '/' }

test('brokers that cannot be used are named with what each said, and no password', async (t) => {
  const stranger = createServer((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
  t.after(() => stranger.close())
  const { port } = stranger.address() as { port: number }
  const reason = await probeBrokers({ ...login, brokers: ['127.0.0.1:1', `127.0.0.1:${port}`] })
  assert.match(
    reason ?? '',
    /^no message broker can be used \(127\.0\.0\.1:1: .*ECONNREFUSED.*; 127\.0\.0\.1:\d+: .+\)$/,
  )
  assert.ok(!reason?.includes('hush'))
})
