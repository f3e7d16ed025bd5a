import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { waitFor } from '#kernel'
import type { PluginContext } from '#plugin-host'
import { type StorageCloud, startStorageCloud } from '#plugins/backup-storage/cases/storage-cloud.ts'
import {
  changeBackupStorageState,
  deleteBackupStorage,
  queryBackupStorage,
} from '#plugins/backup-storage/contract/apis.ts'
import { connectBackupStorage } from '#plugins/backup-storage/contract/messages.ts'
import { attachBackupStorageToZone } from '#plugins/backup-storage/contract/zone-apis.ts'
import { createZone } from '#plugins/zone/contract/apis.ts'
import { addImage, changeImageState, queryImage, updateImage } from '../contract/apis.ts'
import { deleteImage, expungeImage, recoverImage } from '../contract/deletion-apis.ts'
import { locateImage } from '../contract/messages.ts'
import { createCopies } from '../copies.ts'
import { createExpungeWorkflow } from '../expunge-workflow.ts'
import { imagePlugin } from '../plugin.ts'
import { createReaper } from '../reaper.ts'

interface Shown {
  readonly uuid: string
  readonly name: string
  readonly status: string
  readonly installPath: string
  readonly backupStorageRefs: readonly { backupStorageUuid: string; status: string; installPath: string }[]
}

let env: StorageCloud
const serverOf = (uuid: string) => {
  const server = env.servers.get(uuid)
  assert.ok(server)
  return server
}
const filesOn = (uuid: string) => serverOf(uuid).state.files.list('/images').length
const images = async () => (await env.list(queryImage)) as unknown as Shown[]
const statuses = async () => (await images()).map(({ status }) => status)
const add = async (...backupStorageUuids: string[]): Promise<Shown> => {
  const input = {
    name: 'linux',
    url: 'http://images.example/linux.qcow2',
    format: 'qcow2',
    backupStorageUuids,
  }
  return (await env.call(addImage, input)).inventory as unknown as Shown
}
const disconnect = async (backupStorageUuid: string) => {
  serverOf(backupStorageUuid).knobs.crash()
  await assert.rejects(env.cloud.context.bus.call(connectBackupStorage, { backupStorageUuid }))
}
const connect = async (backupStorageUuid: string) => {
  serverOf(backupStorageUuid).knobs.start()
  await env.cloud.context.bus.call(connectBackupStorage, { backupStorageUuid })
}

describe('deleting images', () => {
  beforeEach(async () => {
    env = await startStorageCloud([imagePlugin])
  })
  afterEach(() => env.stop())

  it('keeps a deleted image until it is expunged, and can take the deletion back', async () => {
    const storage = await env.addStorage()
    const { uuid } = await add(storage.uuid)
    await assert.rejects(env.call(expungeImage, { imageUuid: uuid }), /delete it first/)
    await assert.rejects(env.call(recoverImage, { imageUuid: uuid }), /no deleted copy/)
    await env.call(deleteImage, { uuid })
    assert.deepEqual([await statuses(), filesOn(storage.uuid)], [['Deleted'], 1])
    const recovered = (await env.call(recoverImage, { imageUuid: uuid })).inventory as unknown as Shown
    assert.deepEqual([recovered.status, recovered.backupStorageRefs[0]?.status], ['Ready', 'Ready'])
    await env.call(deleteImage, { uuid })
    await env.call(deleteImage, { uuid })
    await env.call(expungeImage, { imageUuid: uuid })
    assert.deepEqual([await statuses(), filesOn(storage.uuid)], [[], 0])
    const [shown] = (await env.list(queryBackupStorage)) as unknown as { availableCapacity: number }[]
    assert.equal(shown?.availableCapacity, 2 ** 40)
  })

  it('deletes on the backup storages named, the others keep it', async () => {
    const [one, other, third] = [
      await env.addStorage('1'),
      await env.addStorage('2'),
      await env.addStorage('3'),
    ]
    const { uuid } = await add(one.uuid, other.uuid)
    await assert.rejects(env.call(deleteImage, { uuid, backupStorageUuids: [third.uuid] }), /is not on/)
    await env.call(deleteImage, { uuid, backupStorageUuids: [one.uuid] })
    assert.deepEqual(await statuses(), ['Ready'])
    await env.call(expungeImage, { imageUuid: uuid })
    assert.deepEqual([await statuses(), filesOn(one.uuid), filesOn(other.uuid)], [['Ready'], 0, 1])
    await env.call(deleteImage, { uuid, backupStorageUuids: [other.uuid] })
    assert.deepEqual(await statuses(), ['Deleted'])
  })

  it('expunges later what was on a backup storage that is away', async () => {
    const [here, away] = [await env.addStorage('here'), await env.addStorage('away')]
    const { uuid } = await add(away.uuid, here.uuid)
    await env.call(deleteImage, { uuid })
    await disconnect(away.uuid)
    await assert.rejects(
      env.call(expungeImage, { imageUuid: uuid }),
      /cannot delete .* on the backup storage/,
    )
    await connect(away.uuid)
    await env.call(expungeImage, { imageUuid: uuid })
    assert.deepEqual([await statuses(), filesOn(here.uuid), filesOn(away.uuid)], [[], 0, 0])
  })

  it('is gone at once under the policy Direct', async () => {
    await env.cloud.context.config.set('image', 'deletionPolicy', 'Direct')
    const storage = await env.addStorage()
    const { uuid } = await add(storage.uuid)
    await env.call(deleteImage, { uuid })
    assert.deepEqual([await statuses(), filesOn(storage.uuid)], [[], 0])
  })

  it('leaves the backup storage alone while it holds images, unless that is enforced', async () => {
    const [storage, other] = [await env.addStorage(), await env.addStorage('other')]
    const only = await add(storage.uuid)
    const both = await add(storage.uuid, other.uuid)
    const { uuid } = storage
    await assert.rejects(env.call(deleteBackupStorage, { uuid }), new RegExp(`holds images: .*${only.uuid}`))
    await env.call(deleteBackupStorage, { uuid, deleteMode: 'Enforcing' })
    const left = (await images()).map((image) => [image.uuid, image.backupStorageRefs.length])
    assert.deepEqual(left, [[both.uuid, 1]])
  })
})

describe('the search for deleted images', () => {
  const start = async (policy: string, expungePeriod: number) => {
    env = await startStorageCloud([imagePlugin], {
      arrange: ({ context }) => {
        context.config.set('image', 'deletionPolicy', policy)
        context.config.set('image', 'expungePeriod', expungePeriod)
        context.config.set('image', 'expungeInterval', 0.02)
      },
    })
  }
  afterEach(() => env.stop())

  it('expunges those whose time is over, also after their backup storage was away', async () => {
    await start('Delay', 0)
    const [here, away] = [await env.addStorage('here'), await env.addStorage('away')]
    const kept = await add(here.uuid)
    const { uuid } = await add(here.uuid, away.uuid)
    await disconnect(away.uuid)
    await env.call(deleteImage, { uuid })
    await waitFor('the copy that can be reached to go', () => filesOn(here.uuid) === 1)
    assert.equal(filesOn(away.uuid), 1)
    await connect(away.uuid)
    await waitFor('the image to go', async () => (await images()).length === 1)
    assert.equal(filesOn(away.uuid), 0)
    assert.deepEqual(
      (await images()).map((image) => [image.uuid, image.status]),
      [[kept.uuid, 'Ready']],
    )
  })

  it('leaves alone what was deleted a moment ago, and everything under the policy Never', async () => {
    env = await startStorageCloud([imagePlugin])
    const context = env.cloud.context as PluginContext
    const search = createReaper(context, createExpungeWorkflow(context, createCopies(context)))
    const storage = await env.addStorage()
    await env.call(deleteImage, { uuid: (await add(storage.uuid)).uuid })
    await search()
    assert.deepEqual([await statuses(), filesOn(storage.uuid)], [['Deleted'], 1])
    await context.config.set('image', 'expungePeriod', 0)
    await context.config.set('image', 'deletionPolicy', 'Never')
    await search()
    assert.deepEqual([await statuses(), filesOn(storage.uuid)], [['Deleted'], 1])
    await context.config.set('image', 'deletionPolicy', 'Delay')
    await search()
    assert.deepEqual([await statuses(), filesOn(storage.uuid)], [[], 0])
  })
})

describe('using images', () => {
  beforeEach(async () => {
    env = await startStorageCloud([imagePlugin])
  })
  afterEach(() => env.stop())

  it('are located for a zone, or the reason against it is given', async () => {
    const storage = await env.addStorage()
    const { uuid: imageUuid, backupStorageRefs } = await add(storage.uuid)
    const { uuid: zoneUuid } = (await env.call(createZone, { name: 'here' })).inventory as unknown as Shown
    const locate = () => env.cloud.context.bus.call(locateImage, { imageUuid, zoneUuid })
    await assert.rejects(locate, /not attached to the zone/)
    await env.call(attachBackupStorageToZone, { zoneUuid, backupStorageUuid: storage.uuid })
    const source = await locate()
    assert.match(source.sha256, /^[0-9a-f]{64}$/)
    assert.deepEqual(
      { ...source, sha256: '' },
      {
        ...{ imageUuid, format: 'qcow2', sizeBytes: 2 ** 30, actualSizeBytes: 64 * 2 ** 20, sha256: '' },
        ...{ backupStorageUuid: storage.uuid, backupStoragePath: backupStorageRefs[0]?.installPath },
      },
    )
    await env.call(changeBackupStorageState, { uuid: storage.uuid, stateEvent: 'disable' })
    await assert.rejects(locate, /images.*it is Disabled/)
    await env.call(changeBackupStorageState, { uuid: storage.uuid, stateEvent: 'enable' })
    await env.call(changeImageState, { uuid: imageUuid, stateEvent: 'disable' })
    await assert.rejects(locate, /linux.*it is Disabled/)
    await env.call(changeImageState, { uuid: imageUuid, stateEvent: 'enable' })
    await disconnect(storage.uuid)
    await assert.rejects(locate, /it is Disconnected/)
    await env.call(deleteImage, { uuid: imageUuid })
    await assert.rejects(locate, /it is Deleted, not Ready/)
  })

  it('can be described anew, but never become another kind of file', async () => {
    const storage = await env.addStorage()
    const { uuid } = await add(storage.uuid)
    const changes = {
      name: 'debian',
      platform: 'Other',
      mediaType: 'DataVolumeTemplate',
      format: 'qcow2',
    } as const
    const changed = (await env.call(updateImage, { uuid, ...changes })).inventory as unknown as typeof changes
    const { name, platform, mediaType, format } = changed
    assert.deepEqual({ name, platform, mediaType, format }, changes)
    await assert.rejects(env.call(updateImage, { uuid, format: 'raw' }), /cannot become raw/)
    await assert.rejects(env.call(updateImage, { uuid, mediaType: 'ISO' }), /cannot become a ISO/)
  })
})
