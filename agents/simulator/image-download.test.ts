import assert from 'node:assert/strict'
import { it } from 'node:test'
import {
  deleteImage,
  downloadImage,
  initBackupStorage,
  pingBackupStorage,
} from '#agents/backup-storage/contract/index.ts'
import { deletePath } from '#agents/kvm-host/contract/storage.ts'
import { createSimulatedBackupStorage } from './backup-storage.ts'
import { createReadyHost, createSmallWorld, uuidOf } from './small-world.ts'

const GiB = 2 ** 30

async function downloads() {
  const small = await createSmallWorld()
  const fetch = (url: string, expectedFormat: 'qcow2' | 'raw' | 'iso' = 'qcow2') =>
    small.images.call(downloadImage, {
      url,
      imagePath: `/images/${encodeURIComponent(url)}`,
      expectedFormat,
      maxBytes: 10 * GiB,
      allowPrivateAddresses: false,
      filePrefixes: ['/srv'],
    })
  return { ...small, fetch }
}

it('derives an image from its URL, the same each time', async () => {
  const { fetch } = await downloads()
  const image = await fetch('http://sim/a.qcow2?size=2147483648&actual=4096')
  assert.equal(image.virtualSizeBytes, 2 * GiB)
  assert.equal(image.actualSizeBytes, 4096)
  assert.deepEqual(await fetch('http://sim/a.qcow2?size=2147483648&actual=4096'), image)
  assert.notEqual((await fetch('http://sim/b.qcow2?size=2147483648&actual=4096')).sha256, image.sha256)
  assert.equal((await fetch('file:///srv/c.qcow2')).virtualSizeBytes, GiB)
  assert.equal((await fetch('http://sim/d.iso?size=4096', 'iso')).actualSizeBytes, 4096)
})

it('fails like a download that fails', async () => {
  const { fetch, storage } = await downloads()
  await assert.rejects(fetch('http://user:word@sim/missing.qcow2'), (error: Error) => {
    assert.match(error.message, /404/)
    assert.ok(!error.message.includes('word'), 'a password in an error')
    return true
  })
  await assert.rejects(fetch('http://sim/x?format=raw'), /is raw, not qcow2/)
  storage.knobs.resizeDisk(GiB)
  await assert.rejects(fetch('http://sim/x.raw?size=2147483648', 'raw'), /no space left/)
})

it('keeps its root and images over a crash', async () => {
  const { storage, images, source } = await downloads()
  storage.knobs.crash()
  await assert.rejects(images.call(pingBackupStorage, {}), { code: 'SYS.1016' })
  storage.knobs.start()
  await images.call(pingBackupStorage, {})
  assert.notEqual(storage.state.files.get(source.path), undefined)
})

it('serves one storage only; its root may move', async () => {
  const { images, storage } = await downloads()
  const init = (root: string, storageUuid: string) => images.call(initBackupStorage, { root, storageUuid })
  await assert.rejects(init('/other', uuidOf(9)), /cannot serve/)
  await init('/other/', uuidOf(1))
  assert.deepEqual(storage.state.files.roots, ['/other'])
  await assert.rejects(createSimulatedBackupStorage().handlers.pingBackupStorage({}, noContext), /no root/)
})

it('hosts cannot cache from a storage that is dead or has lost the image', async () => {
  const small = await downloads()
  const host = await createReadyHost(small)
  const { storage, images, source, image } = small
  const again = {
    source,
    cachePath: '/vm/imagecache/again.qcow2',
    sizeBytes: image.actualSizeBytes,
    sha256: image.sha256,
    format: 'qcow2',
  } as const
  await images.call(deleteImage, { imagePath: source.path })
  const cache = () => host.handlers.cacheImage(again, noContext)
  await assert.rejects(cache(), /it is not there/)
  storage.knobs.crash()
  await assert.rejects(cache(), { code: 'SYS.1016' })
  assert.deepEqual(await host.client.call(deletePath, { path: again.cachePath }), { deleted: false })
})

const noContext = {
  callId: 'test',
  taskId: undefined,
  epoch: 0,
  signal: new AbortController().signal,
  progress() {},
}
