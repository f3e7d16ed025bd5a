import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { waitFor } from '#kernel'
import { definePlugin } from '#plugin-host'
import { createZone, deleteZone } from '#plugins/zone/contract/apis.ts'
import {
  changeBackupStorageState,
  deleteBackupStorage,
  getBackupStorageCapacity,
  queryBackupStorage,
  reconnectBackupStorage,
  updateBackupStorage,
} from '../contract/apis.ts'
import { backupStorageHook } from '../contract/extensions.ts'
import { addBackupStorage, imageAddress } from '../contract/messages.ts'
import { attachBackupStorageToZone, detachBackupStorageFromZone } from '../contract/zone-apis.ts'
import { type StorageCloud, startStorageCloud, storageRow } from './storage-cloud.ts'

describe('backup storage', () => {
  let env: StorageCloud
  const kept = new Set<string>()

  /** Stands for whoever keeps things on backup storages. */
  const keeper = definePlugin({
    name: 'keeper',
    setup(ctx) {
      ctx.hook(backupStorageHook, {
        beforeDelete: async (uuid) => {
          if (kept.has(uuid)) throw new Error('something is kept there')
        },
        onDelete: async (uuid) => void kept.delete(uuid),
      })
    },
  })

  beforeEach(async () => {
    kept.clear()
    env = await startStorageCloud([keeper])
  })
  afterEach(() => env.stop())

  const statusOf = async (uuid: string) =>
    (await env.list(queryBackupStorage)).find((s) => s.uuid === uuid)?.status
  const serverOf = (uuid: string) => {
    const server = env.servers.get(uuid)
    assert.ok(server)
    return server
  }

  it('is Connected with its space after it was added', async () => {
    const storage = await env.addStorage()
    assert.equal(storage.status, 'Connected')
    assert.equal(storage.totalCapacity, 2 ** 40)
    assert.deepEqual(await env.call(getBackupStorageCapacity, { backupStorageUuids: [storage.uuid] }), {
      totalCapacity: 2 ** 40,
      availableCapacity: 2 ** 40,
    })
    const { bus } = env.cloud.context
    const address = await bus.call(imageAddress, { backupStorageUuid: storage.uuid })
    assert.deepEqual(address, { address: `server-${storage.uuid}`, port: 7171 })
  })

  it('leaves nothing when it cannot be connected, and says why', async () => {
    const storage = storageRow('0123456789ab4cde8f0123456789abcd', 'refused')
    const add = env.cloud.context.bus.call(addBackupStorage, { storage })
    await assert.rejects(add, /the disk is read-only/)
    assert.deepEqual(await env.list(queryBackupStorage), [])
    assert.deepEqual(env.forgotten, [storage.uuid])
    assert.deepEqual(await env.cloud.context.workflows.unfinished(), [])
  })

  it('keeps its uuid to itself', async () => {
    const { uuid } = await env.addStorage()
    const storage = { ...storageRow(uuid, 'other'), createDate: 1 }
    await assert.rejects(env.cloud.context.bus.call(addBackupStorage, { storage }), /exists already/)
    assert.equal(await statusOf(uuid), 'Connected')
    assert.deepEqual(env.forgotten, [])
  })

  it('is Disconnected after a reconnect that failed, Connected after one that worked', async () => {
    const { uuid } = await env.addStorage()
    serverOf(uuid).knobs.failNext('initBackupStorage', 'no such directory')
    await assert.rejects(env.call(reconnectBackupStorage, { uuid }), (error: Error) => {
      assert.match(error.message, /cannot connect the backup storage images/)
      assert.match(String((error.cause as Error).message), /no such directory/)
      return true
    })
    assert.equal(await statusOf(uuid), 'Disconnected')
    await env.call(reconnectBackupStorage, { uuid })
    assert.equal(await statusOf(uuid), 'Connected')
  })

  it('can be renamed, disabled and enabled', async () => {
    const { uuid } = await env.addStorage()
    const renamed = await env.call(updateBackupStorage, { uuid, description: 'of the first floor' })
    const { name, description } = renamed.inventory as unknown as { name: string; description: string }
    assert.deepEqual({ name, description }, { name: 'images', description: 'of the first floor' })
    await env.call(changeBackupStorageState, { uuid, stateEvent: 'disable' })
    assert.equal((await env.list(queryBackupStorage))[0]?.state, 'Disabled')
    await env.call(changeBackupStorageState, { uuid, stateEvent: 'enable' })
    assert.equal((await env.list(queryBackupStorage))[0]?.state, 'Enabled')
  })

  it('is attached to a zone once, detached once, and keeps the zone until then', async () => {
    const { uuid } = await env.addStorage()
    const zone = (await env.call(createZone, { name: 'here' })).inventory as unknown as { uuid: string }
    const pair = { backupStorageUuid: uuid, zoneUuid: zone.uuid }
    const attached = await env.call(attachBackupStorageToZone, pair)
    assert.deepEqual((attached.inventory as unknown as Record<string, unknown>).attachedZoneUuids, [
      zone.uuid,
    ])
    await assert.rejects(env.call(attachBackupStorageToZone, pair), { code: 'BS.1001' })
    await assert.rejects(env.call(deleteZone, { uuid: zone.uuid }), /images.*detach them first/)
    await env.call(detachBackupStorageFromZone, pair)
    await assert.rejects(env.call(detachBackupStorageFromZone, pair), { code: 'BS.1002' })
    await env.call(deleteZone, { uuid: zone.uuid })
  })

  it('is not deleted while something is kept there, unless that is enforced', async () => {
    const { uuid } = await env.addStorage()
    kept.add(uuid)
    await assert.rejects(env.call(deleteBackupStorage, { uuid }), /something is kept there/)
    assert.equal(await statusOf(uuid), 'Connected')
    await env.call(deleteBackupStorage, { uuid, deleteMode: 'Enforcing' })
    assert.deepEqual(await env.list(queryBackupStorage), [])
    assert.deepEqual([[...kept], env.forgotten], [[], [uuid]])
  })

  it('is connected again by the ping when its agent was restarted', async () => {
    await env.stop()
    env = await startStorageCloud([keeper], {
      arrange: ({ context }) => context.config.set('backupStorage', 'ping.interval', 0.02),
    })
    const { uuid } = await env.addStorage()
    const { knobs, state } = serverOf(uuid)
    knobs.crash()
    await waitFor('the loss to be seen', async () => (await statusOf(uuid)) === 'Disconnected')
    knobs.resizeDisk(2 ** 30)
    knobs.start()
    await waitFor('the reconnect', async () => (await statusOf(uuid)) === 'Connected')
    assert.deepEqual(state.files.roots, ['/images'])
    await waitFor('its space', async () => (await env.list(queryBackupStorage))[0]?.totalCapacity === 2 ** 30)
  })

  it('stays Disconnected when reconnects are left to people', async () => {
    await env.stop()
    env = await startStorageCloud([keeper], {
      arrange: ({ context }) => {
        context.config.set('backupStorage', 'ping.interval', 0.02)
        context.config.set('backupStorage', 'connection.autoReconnectOnError', false)
      },
    })
    const { uuid } = await env.addStorage()
    const { knobs } = serverOf(uuid)
    knobs.failNext('pingBackupStorage', 'a hiccup')
    knobs.failNext('pingBackupStorage', 'another')
    await waitFor('the loss to be seen', async () => (await statusOf(uuid)) === 'Disconnected')
    const inits = knobs.count('initBackupStorage')
    await env.call(reconnectBackupStorage, { uuid })
    assert.equal(knobs.count('initBackupStorage'), inits + 1)
    assert.equal(await statusOf(uuid), 'Connected')
  })
})
