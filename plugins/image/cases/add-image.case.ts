import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Input } from '#contract'
import { newUuid } from '#kernel'
import {
  accountUuid,
  type StorageCloud,
  startStorageCloud,
} from '#plugins/backup-storage/cases/storage-cloud.ts'
import { queryBackupStorage } from '#plugins/backup-storage/contract/apis.ts'
import { connectBackupStorage } from '#plugins/backup-storage/contract/messages.ts'
import { queryUserTag } from '#plugins/tag/contract/apis.ts'
import { addImage, queryImage } from '../contract/apis.ts'
import { deleteImage } from '../contract/deletion-apis.ts'
import { imagePlugin } from '../plugin.ts'

const url = 'http://images.example/linux.qcow2?actual=1048576'

describe('adding an image', () => {
  let env: StorageCloud
  beforeEach(async () => {
    env = await startStorageCloud([imagePlugin])
  })
  afterEach(() => env.stop())

  const add = async (input: Partial<Input<typeof addImage>>) => {
    const { inventory } = await env.call(addImage, { name: 'linux', url, format: 'qcow2', ...input })
    return inventory as unknown as Record<string, unknown> & {
      uuid: string
      backupStorageRefs: { backupStorageUuid: string; installPath: string; status: string }[]
    }
  }
  const serverOf = (uuid: string) => {
    const server = env.servers.get(uuid)
    assert.ok(server)
    return server
  }
  const filesOf = (uuid: string) =>
    serverOf(uuid)
      .state.files.list('/images')
      .map((file) => file.path)
  const assertNothingLeft = async () => {
    assert.deepEqual(await env.list(queryImage), [])
    assert.deepEqual(await env.list(queryUserTag), [])
    for (const uuid of env.servers.keys()) assert.deepEqual(filesOf(uuid), [])
    assert.deepEqual(await env.cloud.context.workflows.unfinished(), [])
  }

  it('makes it Ready with what the backup storage found, in a place of its own', async () => {
    const { uuid } = await env.addStorage()
    const image = await add({ backupStorageUuids: [uuid], userTags: ['golden'] })
    const { status, state, size, actualSize, mediaType, format, platform } = image
    assert.deepEqual(
      { status, state, size, actualSize, mediaType, format, platform },
      {
        ...{ status: 'Ready', state: 'Enabled', size: 2 ** 30, actualSize: 2 ** 20 },
        ...{ mediaType: 'RootVolumeTemplate', format: 'qcow2', platform: 'Linux' },
      },
    )
    const installPath = `/images/rootVolumeTemplates/acct-${accountUuid}/${image.uuid}/${image.uuid}.qcow2`
    assert.deepEqual(filesOf(uuid), [installPath])
    assert.deepEqual(
      image.backupStorageRefs.map((ref) => [ref.backupStorageUuid, ref.installPath, ref.status]),
      [[uuid, installPath, 'Ready']],
    )
    const [storage] = (await env.list(queryBackupStorage)) as unknown as { availableCapacity: number }[]
    assert.equal(storage?.availableCapacity, 2 ** 40 - 2 ** 20)
    assert.equal((await env.list(queryUserTag)).length, 1)
    assert.deepEqual(await env.cloud.context.workflows.unfinished(), [])
  })

  it('puts ISOs and data volume templates into their own folders', async () => {
    const { uuid } = await env.addStorage()
    const iso = await add({ backupStorageUuids: [uuid], format: 'iso' })
    assert.equal(iso.mediaType, 'ISO')
    const data = await add({ backupStorageUuids: [uuid], format: 'raw', mediaType: 'DataVolumeTemplate' })
    assert.deepEqual(filesOf(uuid), [
      `/images/isos/acct-${accountUuid}/${iso.uuid}/${iso.uuid}.iso`,
      `/images/dataVolumeTemplates/acct-${accountUuid}/${data.uuid}/${data.uuid}.raw`,
    ])
  })

  it('leaves nothing when the source is not there, and gives the reason', async () => {
    const { uuid } = await env.addStorage()
    const adding = add({
      backupStorageUuids: [uuid],
      url: 'http://images.example/missing',
      userTags: ['golden'],
    })
    await assert.rejects(adding, (error: Error) => {
      assert.match(
        error.message,
        /BS\.1000 cannot download the image linux .* to images; nothing of it is left/,
      )
      assert.match(String(error.cause), /HTTP 404/)
      return true
    })
    await assertNothingLeft()
  })

  it('takes the file back when the answer was lost after the file was there', async () => {
    const { uuid } = await env.addStorage()
    serverOf(uuid).knobs.failNext('downloadImage', 'the connection broke', { after: true })
    await assert.rejects(add({ backupStorageUuids: [uuid] }), { code: 'BS.1000' })
    await assertNothingLeft()
  })

  it('is content with one of two backup storages, and forgets the other', async () => {
    const [good, bad] = [await env.addStorage('good'), await env.addStorage('bad')]
    serverOf(bad.uuid).knobs.failNext('downloadImage', 'the connection broke', { after: true })
    const image = await add({ backupStorageUuids: [bad.uuid, good.uuid] })
    assert.equal(image.status, 'Ready')
    assert.deepEqual(
      image.backupStorageRefs.map((ref) => ref.backupStorageUuid),
      [good.uuid],
    )
    assert.deepEqual([filesOf(good.uuid).length, filesOf(bad.uuid).length], [1, 0])
  })

  it('goes on trying to take back what it could not, with the backup storage away', async () => {
    const { uuid } = await env.addStorage()
    const { knobs } = serverOf(uuid)
    knobs.failNext('downloadImage', 'the connection broke', { after: true })
    knobs.failNext('deleteImage', 'it is still broken')
    await assert.rejects(add({ backupStorageUuids: [uuid] }), { code: 'BS.1000' })
    assert.equal(filesOf(uuid).length, 1)
    const { workflows } = env.cloud.context
    assert.deepEqual(
      (await workflows.unfinished()).map((row) => row.name),
      ['image.fetch'],
    )
    assert.deepEqual(await workflows.retryStuck(), [])
    await assertNothingLeft()
  })

  it('refuses a backup storage that is away or has no room, by name', async () => {
    const { uuid } = await env.addStorage('away')
    serverOf(uuid).knobs.failNext('initBackupStorage', 'gone')
    const { bus } = env.cloud.context
    await assert.rejects(bus.call(connectBackupStorage, { backupStorageUuid: uuid }))
    await assert.rejects(add({ backupStorageUuids: [uuid] }), /away.* takes no image: it is Disconnected/)
    serverOf(uuid).knobs.resizeDisk(2 ** 30)
    await bus.call(connectBackupStorage, { backupStorageUuid: uuid })
    await assert.rejects(add({ backupStorageUuids: [uuid] }), { code: 'BS.1003' })
    await assertNothingLeft()
  })

  it('refuses an image larger than what is allowed', async () => {
    const { uuid } = await env.addStorage()
    await env.cloud.context.config.set('image', 'download.maxBytes', 2 ** 19)
    await assert.rejects(add({ backupStorageUuids: [uuid] }), { code: 'BS.1000' })
    await assertNothingLeft()
  })

  it('refuses bad URLs and formats before anything is done', async () => {
    const { uuid } = await env.addStorage()
    const bad = [
      { url: 'ftp://images.example/a' },
      { url: 'file:///srv/a' },
      { format: 'vmdk' },
      { url: 'http://[::1]/' },
    ]
    for (const input of bad)
      await assert.rejects(add({ backupStorageUuids: [uuid], ...input }), { code: 'SYS.1007' })
    assert.equal(serverOf(uuid).knobs.count('downloadImage'), 0)
    await assertNothingLeft()
  })

  it('takes files from allowed directories only', async () => {
    const { uuid } = await env.addStorage()
    await env.cloud.context.config.set('image', 'download.filePrefixes', '/srv/images;/mnt/images')
    const image = await add({ backupStorageUuids: [uuid], url: 'file:///mnt/images/linux.qcow2' })
    assert.equal(image.status, 'Ready')
    await assert.rejects(add({ backupStorageUuids: [uuid], url: 'file:///etc/shadow' }), { code: 'SYS.1007' })
  })

  it('keeps the uuid asked for, once', async () => {
    const { uuid } = await env.addStorage()
    const resourceUuid = newUuid()
    const image = await add({ backupStorageUuids: [uuid], resourceUuid })
    assert.equal(image.uuid, resourceUuid)
    await assert.rejects(add({ backupStorageUuids: [uuid], resourceUuid, name: 'other' }), /exists already/)
    assert.deepEqual(
      (await env.list(queryImage)).map((row) => [row.name, row.status]),
      [['linux', 'Ready']],
    )
    assert.equal(filesOf(uuid).length, 1)
  })

  it('tells how far it is, and refuses changes meanwhile', async () => {
    const { uuid } = await env.addStorage()
    const hold = serverOf(uuid).knobs.hold('downloadImage', { after: true })
    const params = { name: 'linux', url, format: 'qcow2', backupStorageUuids: [uuid] }
    const { jobUuid } = await env.cloud.dispatcher.submit({ api: addImage, params })
    await hold.waiting
    const entries = env.cloud.jobs.progressOf(jobUuid)?.entries ?? []
    assert.deepEqual(entries.at(-1)?.message, 'download to images')
    const [image] = (await env.list(queryImage)) as unknown as { uuid: string; status: string }[]
    assert.equal(image?.status, 'Downloading')
    await assert.rejects(env.call(deleteImage, { uuid: image.uuid }), /is being downloaded/)
    const done = env.cloud.jobs.done(jobUuid)
    hold.release()
    assert.ok('output' in (await done))
  })
})
