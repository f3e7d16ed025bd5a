import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '#kernel'
import { migrationPaths, parseTunnelPath, TUNNEL_PREFIX, tunnelPath } from './channels.ts'
import { describeMigration } from './params.ts'

const uuid = '0123456789ab4def8123456789abcdef'

test('a tunnel path is read back', () => {
  const path = tunnelPath(uuid, 'nbd')
  assert.equal(path, `/tunnel/${uuid}.nbd`)
  assert.deepEqual(parseTunnelPath(path.slice(TUNNEL_PREFIX.length)), { migrationUuid: uuid, channel: 'nbd' })
})

test('nothing else gets through', () => {
  for (const path of [
    '',
    uuid,
    `${uuid}.ssh`,
    `../${uuid}.qemu`,
    `${uuid}.qemu/..`,
    `${uuid.toUpperCase()}.qemu`,
    `${uuid}.qemu\n`,
  ])
    assert.throws(() => parseTunnelPath(path), /names no channel of a migration/, path)
})

test('socket paths fit what the kernel allows', () => {
  const paths = migrationPaths('/run/zstack/migration', newUuid())
  for (const path of Object.values(paths)) assert.ok(path.length < 100, path)
})

test('a migration with and without disks', () => {
  const paths = migrationPaths('/run/zstack/migration', uuid)
  const destinationUri = `qemu+unix:///system?socket=%2Frun%2Fzstack%2Fmigration%2F${uuid}.libvirt`
  assert.deepEqual(describeMigration(paths, { withStorage: false, autoConverge: false }), {
    destinationUri,
    params: { migrate_uri: `unix:///run/zstack/migration/${uuid}/qemu` },
    flags: 1 + 2 + 512,
  })
  assert.deepEqual(describeMigration(paths, { withStorage: true, autoConverge: true }), {
    destinationUri,
    params: {
      migrate_uri: `unix:///run/zstack/migration/${uuid}/qemu`,
      disks_uri: `unix:///run/zstack/migration/${uuid}/nbd`,
    },
    flags: 1 + 2 + 128 + 512 + 8192,
  })
})
