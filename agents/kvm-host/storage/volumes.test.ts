import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { createStorageHandlers } from './handlers.ts'
import { arrangeHost, callContext, run } from './testing.ts'

const MIB = 2 ** 20

async function putImage(path: string, format: 'qcow2' | 'raw', mebibytes = 4) {
  await mkdir(dirname(path), { recursive: true })
  await run('qemu-img', ['create', '-q', '-f', format, path, `${mebibytes}M`])
  await chmod(path, 0o444)
}

test('an overlay on a cached image is as large as asked, never smaller than the image', async (t) => {
  const { root, handlers } = await arrangeHost(t)
  for (const format of ['qcow2', 'raw'] as const) {
    const cachePath = join(root, 'imagecache', `${format}.img`)
    await putImage(cachePath, format)
    const small = join(root, `small-${format}`, 'v.qcow2')
    const large = join(root, `large-${format}`, 'v.qcow2')
    const input = { cachePath, cacheFormat: format }
    const a = await handlers.createVolumeFromCache(
      { ...input, installPath: small, sizeBytes: MIB },
      callContext(),
    )
    assert.equal(a.virtualSizeBytes, 4 * MIB)
    const b = await handlers.createVolumeFromCache(
      { ...input, installPath: large, sizeBytes: 9 * MIB + 1 },
      callContext(),
    )
    assert.equal(b.virtualSizeBytes, 9 * MIB + 512)
    assert.ok(b.actualSizeBytes > 0 && b.actualSizeBytes < MIB)
    const { stdout } = await run('qemu-img', ['info', '--output=json', '-f', 'qcow2', large])
    const info = JSON.parse(stdout) as Record<string, unknown>
    assert.equal(info['backing-filename'], cachePath)
    assert.equal(info['backing-filename-format'], format)
    assert.equal((await stat(large)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(dirname(large)), ['v.qcow2'])
    assert.deepEqual(await handlers.statVolume({ path: large }, callContext()), {
      exists: true,
      format: 'qcow2',
      virtualSizeBytes: 9 * MIB + 512,
      actualSizeBytes: b.actualSizeBytes,
      backingPath: cachePath,
    })
  }
})

test('a repeated creation finds the volume; another one is not overwritten', async (t) => {
  const { root, handlers } = await arrangeHost(t)
  const installPath = join(root, 'v.qcow2')
  const cachePath = join(root, 'image.qcow2')
  await putImage(cachePath, 'qcow2')
  const first = await handlers.createEmptyVolume({ installPath, sizeBytes: MIB }, callContext())
  const before = await stat(installPath)
  assert.deepEqual(await handlers.createEmptyVolume({ installPath, sizeBytes: MIB }, callContext()), first)
  assert.equal((await stat(installPath)).ino, before.ino)
  await assert.rejects(
    handlers.createEmptyVolume({ installPath, sizeBytes: 2 * MIB }, callContext()),
    /exists already and is another volume: 1048576 bytes on no image, but wanted is 2097152 bytes/,
  )
  await assert.rejects(
    handlers.createVolumeFromCache({ cachePath, cacheFormat: 'qcow2', installPath }, callContext()),
    /wanted is 4194304 bytes on .*image\.qcow2 \(qcow2\)/,
  )
})

test('two creations of one path at the same time make one volume', async (t) => {
  const { root, handlers } = await arrangeHost(t)
  const input = { installPath: join(root, 'd', 'v.qcow2'), sizeBytes: MIB }
  const both = await Promise.all([1, 2, 3].map(() => handlers.createEmptyVolume(input, callContext())))
  assert.deepEqual(both[0], both[2])
  assert.deepEqual(await readdir(join(root, 'd')), ['v.qcow2'])
})

test('a missing or layered image is refused before anything is made', async (t) => {
  const { root, handlers } = await arrangeHost(t)
  const layered = join(root, 'layered.qcow2')
  await writeFile(join(root, 'base'), 'x')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', join(root, 'base'), layered, '1M'])
  const installPath = join(root, 'sub', 'v.qcow2')
  const create = (cachePath: string) =>
    handlers.createVolumeFromCache({ cachePath, cacheFormat: 'qcow2', installPath }, callContext())
  await assert.rejects(create(join(root, 'gone.qcow2')), { code: 'SYS.1003' })
  await assert.rejects(create(layered), /itself an overlay/)
  await assert.rejects(readdir(join(root, 'sub')), { code: 'ENOENT' })
})

test('what a guest writes into a raw disk decides nothing', async (t) => {
  const { root, handlers } = await arrangeHost(t)
  const inner = join(root, 'inner.qcow2')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/passwd', inner, '1M'])
  // A "raw" disk whose contents are a qcow2 header with a backing file.
  const raw = join(root, 'disk.img')
  await writeFile(raw, await readFile(inner))
  const seen = await handlers.statVolume({ path: raw }, callContext())
  assert.equal(seen.format, 'raw')
  assert.equal(seen.backingPath, undefined)
  const made = await handlers.createVolumeFromCache(
    { cachePath: raw, cacheFormat: 'raw', installPath: join(root, 'v.qcow2') },
    callContext(),
  )
  assert.equal(made.virtualSizeBytes, Math.ceil((await stat(raw)).size / 512) * 512)
})

test('no command reaches outside a root', async (t) => {
  const { base, root, handlers } = await arrangeHost(t)
  await writeFile(join(base, 'victim.qcow2'), 'keep')
  await symlink(base, join(root, 'out'))
  const bad = [
    '/etc/passwd',
    join(base, 'victim.qcow2'),
    `${root}/../victim.qcow2`,
    join(root, 'out', 'victim.qcow2'),
    `${root}/a\0`,
  ]
  for (const path of bad) {
    const attempts = [
      () => handlers.deletePath({ path }, callContext()),
      () => handlers.statVolume({ path }, callContext()),
      () => handlers.createEmptyVolume({ installPath: path, sizeBytes: MIB }, callContext()),
      () =>
        handlers.createVolumeFromCache(
          { cachePath: path, cacheFormat: 'raw', installPath: join(root, 'v.qcow2') },
          callContext(),
        ),
    ]
    for (const attempt of attempts) await assert.rejects(attempt(), { code: 'SYS.1007' }, path)
  }
  assert.equal(await readFile(join(base, 'victim.qcow2'), 'utf8'), 'keep')
  await assert.rejects(handlers.listStorage({ root: '/etc' }, callContext()), /not initialised/)
  await assert.rejects(handlers.storageCapacity({ root: base }, callContext()), /not initialised/)
})

test('odd names are names, not options or shell words', async (t) => {
  const { root, handlers } = await arrangeHost(t)
  for (const name of ['-o size=9', "a'b;$(touch x)", 'json:{}', 'a,b=c', 'nbd:x', 'ü %20']) {
    const installPath = join(root, 'odd', `${name}.qcow2`)
    await handlers.createEmptyVolume({ installPath, sizeBytes: MIB }, callContext())
    assert.equal((await handlers.statVolume({ path: installPath }, callContext())).virtualSizeBytes, MIB)
    const overlay = join(root, 'odd', `${name}-2.qcow2`)
    const input = { cachePath: installPath, cacheFormat: 'qcow2' as const, installPath: overlay }
    await handlers.createVolumeFromCache(input, callContext())
    await handlers.createVolumeFromCache(input, callContext())
    assert.equal((await handlers.statVolume({ path: overlay }, callContext())).backingPath, installPath)
  }
  await assert.rejects(
    handlers.createEmptyVolume({ installPath: join(root, 'no-extension'), sizeBytes: MIB }, callContext()),
    /must end in \.qcow2/,
  )
})

test('deleting is repeatable and the listing follows', async (t) => {
  const { root, handlers } = await arrangeHost(t)
  const path = join(root, 'rootVolumes', 'acct-x', 'vol-y', 'y.qcow2')
  await handlers.createEmptyVolume({ installPath: path, sizeBytes: MIB }, callContext())
  const { files } = await handlers.listStorage({ root }, callContext())
  assert.deepEqual(
    files.map((f) => f.path),
    [path],
  )
  assert.ok((files[0]?.actualSizeBytes ?? 0) > 0)
  assert.deepEqual(await handlers.deletePath({ path }, callContext()), { deleted: true })
  assert.deepEqual(await handlers.deletePath({ path }, callContext()), { deleted: false })
  assert.deepEqual(await handlers.statVolume({ path }, callContext()), { exists: false })
  assert.deepEqual(await readdir(root), ['.zstack-storage.json'])
})

test('after a restart the roots are known and a crash leaves nothing after the next init', async (t) => {
  const { root, stateDirectory, storage } = await arrangeHost(t)
  await mkdir(join(root, 'dataVolumes'))
  await writeFile(join(root, 'dataVolumes', '.zs-part-dead'), 'half')
  const handlers = createStorageHandlers({
    stateDirectory,
    openImage: () => Promise.reject(new Error('unused')),
    log: { debug() {}, info() {}, warn() {}, error() {}, child: () => assert.fail('unused') },
  })
  const space = await handlers.storageCapacity({ root }, callContext())
  assert.ok(space.availableBytes > 0 && space.totalBytes >= space.availableBytes)
  await handlers.initStorage(storage, callContext())
  assert.deepEqual(await readdir(root), ['.zstack-storage.json'])
})
