import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { newUuid, silentLogger } from '#kernel'
import { type MigrationChannel, migrationPaths } from './channels.ts'
import { openOutgoing } from './outgoing.ts'

function setUp(
  t: TestContext,
  openTunnel: (channel: MigrationChannel) => Promise<Duplex>,
  withStorage = true,
) {
  const directory = mkdtempSync(join(tmpdir(), 'outgoing-'))
  const root = join(directory, 'm')
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const paths = migrationPaths(root, newUuid())
  return {
    root,
    paths,
    open: () => openOutgoing({ paths, owner: undefined, withStorage, openTunnel, logger: silentLogger }),
  }
}

/** A tunnel whose far end answers with what it was sent, in capitals, once the near end has ended. */
function shouting(): Duplex {
  const heard: Buffer[] = []
  return new Duplex({
    allowHalfOpen: true,
    read() {},
    write(chunk, _encoding, done) {
      heard.push(chunk)
      done()
    },
    final(done) {
      this.push(Buffer.concat(heard).toString().toUpperCase())
      this.push(null)
      done()
    },
  })
}

test('each socket leads through a tunnel of its own channel, in both directions', async (t) => {
  const channels: string[] = []
  const { paths, open, root } = setUp(t, async (channel) => {
    channels.push(channel)
    return shouting()
  })
  const outgoing = await open()
  for (const channel of ['libvirt', 'qemu', 'nbd'] as const) {
    assert.equal(statSync(paths[channel]).mode & 0o777, 0o600)
    const socket = connect({ path: paths[channel], allowHalfOpen: true })
    socket.end(`hello ${channel}`)
    const [answer] = await once(socket, 'data')
    assert.equal(String(answer), `HELLO ${channel.toUpperCase()}`)
    socket.destroy()
  }
  assert.deepEqual(channels, ['libvirt', 'qemu', 'nbd'])
  assert.equal(outgoing.tunnelError(), undefined)
  await outgoing.close()
  assert.deepEqual(readdirSync(root), [])
})

test('without storage there is no way for disks', async (t) => {
  const { paths, open } = setUp(t, async () => shouting(), false)
  const outgoing = await open()
  assert.equal(existsSync(paths.nbd), false)
  await outgoing.close()
})

test('a tunnel that cannot be opened ends the connection and is remembered as the cause', async (t) => {
  const refused = new Error('refused')
  const { paths, open } = setUp(t, () => Promise.reject(refused))
  const outgoing = await open()
  const socket = connect(paths.libvirt)
  socket.resume()
  await once(socket, 'close')
  assert.equal(outgoing.tunnelError(), refused)
  await outgoing.close()
})

test('closing cuts what is open', async (t) => {
  const { paths, open } = setUp(t, async () => shouting())
  const outgoing = await open()
  const socket = connect(paths.qemu)
  socket.resume()
  await once(socket, 'connect')
  const cut = once(socket, 'close')
  await outgoing.close()
  await cut
})
