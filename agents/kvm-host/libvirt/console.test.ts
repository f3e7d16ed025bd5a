import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { consoleRoute } from './console.ts'

test('a console is good for one connection, and only after it was opened', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'console-'))
  const server = createServer((socket) => socket.end('RFB'))
  t.after(() => {
    server.close()
    rmSync(directory, { recursive: true })
  })
  server.listen(join(directory, 'vnc'))
  await once(server, 'listening')
  const vmUuid = newUuid()
  const consoles = new Map([[vmUuid, join(directory, 'vnc')]])
  const route = consoleRoute(consoles)
  const peer = { kind: 'management', name: 'management' } as const
  const request = { path: vmUuid, peer, signal: new AbortController().signal }
  assert.deepEqual(route.allow, ['management'])
  const stream = await route.open(request)
  const [data] = await once(stream, 'data')
  stream.destroy()
  assert.equal(String(data), 'RFB')
  await assert.rejects(route.open(request), /call vm\.console first/)
  consoles.set(vmUuid, join(directory, 'gone'))
  await assert.rejects(route.open(request), /nothing answers at .*gone/)
})
