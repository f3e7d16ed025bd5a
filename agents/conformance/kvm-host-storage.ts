import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import {
  cacheImage,
  createEmptyVolume,
  createVolumeFromCache,
  deletePath,
  initStorage,
  listStorage,
  statVolume,
  storageCapacity,
} from '#agents/kvm-host/contract/storage.ts'
import { newUuid, sysErrors } from '#kernel'
import {
  cacheInputOf,
  cachePathOf,
  conformanceStorageUuid,
  type GetKvmHost,
  type KvmHostFixture,
  refused,
  testTimeout,
  volumePathOf,
} from './kvm-host-fixture.ts'

const MiB = 2 ** 20

export function declareStorageTests(getHost: GetKvmHost): void {
  describe('storage', testTimeout, () => {
    before(async () => {
      const { client, storageRoot } = getHost()
      await client.call(initStorage, { root: storageRoot, storageUuid: conformanceStorageUuid })
    })
    declareRootTests(getHost)
    declareVolumeTests(getHost)
    declareCacheTests(getHost)
  })
}

function declareRootTests(getHost: GetKvmHost): void {
  it('initialises a root, again without harm, and tells its space', async () => {
    const { client, storageRoot: root } = getHost()
    const space = await client.call(initStorage, { root, storageUuid: conformanceStorageUuid })
    assert.ok(space.totalBytes > 0 && space.availableBytes <= space.totalBytes)
    assert.equal((await client.call(storageCapacity, { root })).totalBytes, space.totalBytes)
  })

  it('refuses every path outside the roots', async () => {
    const { client, storageRoot: root } = getHost()
    const code = sysErrors.invalidArgument.code
    for (const path of ['/etc/passwd', `${root}/../stray`, `${root}-other/x.qcow2`, 'x.qcow2', '/']) {
      const inside = volumePathOf(getHost(), newUuid())
      const cacheFormat = 'qcow2'
      const attempts = {
        stat: client.call(statVolume, { path }),
        delete: client.call(deletePath, { path }),
        list: client.call(listStorage, { root: path }),
        capacity: client.call(storageCapacity, { root: path }),
        create: client.call(createEmptyVolume, { installPath: path, sizeBytes: MiB }),
        cache: client.call(cacheImage, cacheInputOf(getHost(), path)),
        backing: client.call(createVolumeFromCache, { cachePath: path, cacheFormat, installPath: inside }),
      }
      const checks = Object.entries(attempts).map(([name, work]) => refused(`${name} of ${path}`, work, code))
      await Promise.all(checks)
      const overlay = { cachePath: inside, cacheFormat, installPath: path } as const
      await refused(`overlay at ${path}`, client.call(createVolumeFromCache, overlay))
    }
  })

  it('does not delete a root', async () => {
    const { client, storageRoot } = getHost()
    await refused('deleting the root', client.call(deletePath, { path: storageRoot }))
  })
}

function declareVolumeTests(getHost: GetKvmHost): void {
  it('creates an empty volume once, tells it by stat and list, deletes it once', async () => {
    const { client, storageRoot: root } = getHost()
    const before = await client.call(listStorage, { root })
    const path = volumePathOf(getHost(), newUuid())
    const input = { installPath: path, sizeBytes: 64 * MiB }
    assert.deepEqual(await client.call(statVolume, { path }), { exists: false })

    const made = await client.call(createEmptyVolume, input)
    assert.equal(made.virtualSizeBytes, 64 * MiB)
    assert.ok(made.actualSizeBytes < 64 * MiB, 'an empty volume takes hardly any space')
    assert.equal((await client.call(createEmptyVolume, input)).virtualSizeBytes, 64 * MiB)
    const other = client.call(createEmptyVolume, { ...input, sizeBytes: 32 * MiB })
    await refused('another volume at the same place', other, sysErrors.createResource.code)
    await checkStat(getHost(), path, { format: 'qcow2', virtualSizeBytes: 64 * MiB })

    assert.deepEqual(await client.call(deletePath, { path }), { deleted: true })
    assert.deepEqual(await client.call(deletePath, { path }), { deleted: false })
    assert.deepEqual(await client.call(statVolume, { path }), { exists: false })
    assert.deepEqual(await client.call(listStorage, { root }), before)
  })

  it('says that what never was is not there', async () => {
    const { client } = getHost()
    const path = volumePathOf(getHost(), newUuid())
    assert.deepEqual(await client.call(statVolume, { path }), { exists: false })
    assert.deepEqual(await client.call(deletePath, { path }), { deleted: false })
  })
}

function declareCacheTests(getHost: GetKvmHost): void {
  it('caches an image once and puts overlays on it', async () => {
    const { client, image } = getHost()
    const cachePath = cachePathOf(getHost(), newUuid())
    const cached = await client.call(cacheImage, cacheInputOf(getHost(), cachePath))
    assert.ok(cached.actualSizeBytes > 0)
    await client.call(cacheImage, cacheInputOf(getHost(), cachePath))
    const { virtualSizeBytes } = image
    await checkStat(getHost(), cachePath, { format: image.format, virtualSizeBytes })

    const plain = { cachePath, cacheFormat: image.format, installPath: volumePathOf(getHost(), newUuid()) }
    const made = await client.call(createVolumeFromCache, plain)
    assert.equal(made.virtualSizeBytes, virtualSizeBytes)
    assert.equal((await client.call(createVolumeFromCache, plain)).virtualSizeBytes, virtualSizeBytes)
    await checkStat(getHost(), plain.installPath, {
      format: 'qcow2',
      backingPath: cachePath,
      virtualSizeBytes,
    })

    const sizeBytes = virtualSizeBytes + 64 * MiB
    const large = { ...plain, installPath: volumePathOf(getHost(), newUuid()), sizeBytes }
    assert.equal((await client.call(createVolumeFromCache, large)).virtualSizeBytes, sizeBytes)
    for (const path of [plain.installPath, large.installPath, cachePath]) {
      assert.deepEqual(await client.call(deletePath, { path }), { deleted: true })
    }
  })

  it('leaves nothing of an image that is not what was said', async () => {
    const { client, image, storageRoot: root } = getHost()
    const before = await client.call(listStorage, { root })
    const input = cacheInputOf(getHost(), cachePathOf(getHost(), newUuid()))
    const wrong = {
      sha256: { ...input, sha256: 'ab'.repeat(32) },
      size: { ...input, sizeBytes: input.sizeBytes + 1 },
      source: { ...input, source: { ...image.source, path: `${image.source.path}.never` } },
      server: { ...input, source: { ...image.source, address: '127.0.0.1', port: 1 } },
    }
    for (const [what, each] of Object.entries(wrong)) {
      await refused(`caching with a wrong ${what}`, client.call(cacheImage, each))
      assert.deepEqual(await client.call(statVolume, { path: input.cachePath }), { exists: false })
    }
    assert.deepEqual(await client.call(listStorage, { root }), before)
  })

  it('makes no overlay on an image that is not cached', async () => {
    const { client } = getHost()
    const path = volumePathOf(getHost(), newUuid())
    const cachePath = cachePathOf(getHost(), newUuid())
    const input = { cachePath, cacheFormat: 'qcow2', installPath: path } as const
    const notFound = sysErrors.resourceNotFound.code
    await refused('an overlay on nothing', client.call(createVolumeFromCache, input), notFound)
    assert.deepEqual(await client.call(statVolume, { path }), { exists: false })
  })
}

/** Stat says what is expected, and the list of the root agrees with it. */
async function checkStat(
  { client, storageRoot: root }: KvmHostFixture,
  path: string,
  expected: Readonly<Record<string, unknown>>,
): Promise<void> {
  const stat = await client.call(statVolume, { path })
  assert.equal(stat.exists, true, `${path} is not there`)
  for (const [name, value] of Object.entries(expected)) {
    assert.equal((stat as Record<string, unknown>)[name], value, `${name} of ${path}`)
  }
  const listed = (await client.call(listStorage, { root })).files.filter((file) => file.path === path)
  assert.deepEqual(listed, [{ path, actualSizeBytes: stat.actualSizeBytes }])
}
