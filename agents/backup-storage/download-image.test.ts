import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { arrangeBackup, callContext, downloadOf, run, sending, serve, testDirectory } from './testing.ts'

const CLEAN = ['.zstack-storage.json']
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** Bytes of a qcow2 file qemu-img makes with these options. */
async function qcow2(t: TestContext, ...options: string[]): Promise<Buffer> {
  const path = join(await testDirectory(t), 'made.qcow2')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', ...options, path, '8M'])
  return readFile(path)
}

function iso(): Buffer {
  const bytes = Buffer.alloc(64 * 1024, 3)
  bytes.write('CD001', 0x8001, 'latin1')
  return bytes
}

test('an image of each format is fetched, measured and made read-only', async (t) => {
  const { root, handlers } = await arrangeBackup(t)
  const contents = { qcow2: await qcow2(t), raw: randomBytes(500_000), iso: iso() }
  const virtual = { qcow2: 8 * 2 ** 20, raw: 500_224, iso: 65_536 }
  for (const format of ['qcow2', 'raw', 'iso'] as const) {
    const content = contents[format]
    const server = await serve(t, sending(content))
    const imagePath = join(root, 'templates', format, `image.${format}`)
    const input = downloadOf(`${server.url}/image`, imagePath, { expectedFormat: format })
    const context = callContext()
    const facts = await handlers.downloadImage(input, context)
    assert.deepEqual(facts, {
      format,
      virtualSizeBytes: virtual[format],
      actualSizeBytes: content.length,
      sha256: sha256(content),
    })
    assert.deepEqual(await readFile(imagePath), content)
    assert.equal((await stat(imagePath)).mode & 0o777, 0o444)
    assert.equal(context.seen.at(-1), 99)
    assert.deepEqual(await handlers.downloadImage(input, callContext()), facts)
    assert.equal(server.seen.length, 1, 'a repeat fetches nothing')
  }
})

test('what the image server has can be listed, asked for and deleted', async (t) => {
  const { root, handlers } = await arrangeBackup(t)
  const server = await serve(t, sending(Buffer.alloc(1000, 1)))
  const imagePath = join(root, 'a', 'b', 'image.raw')
  await handlers.downloadImage(downloadOf(server.url, imagePath), callContext())
  const file = { path: imagePath, actualSizeBytes: 1000 }
  assert.deepEqual(await handlers.listImages({}, callContext()), { files: [file] })
  assert.deepEqual(await handlers.statImage({ imagePath }, callContext()), {
    exists: true,
    actualSizeBytes: 1000,
  })
  assert.deepEqual(await handlers.deleteImage({ imagePath }, callContext()), { deleted: true })
  assert.deepEqual(await handlers.deleteImage({ imagePath }, callContext()), { deleted: false })
  assert.deepEqual(await handlers.statImage({ imagePath }, callContext()), { exists: false })
  assert.deepEqual(await readdir(root), CLEAN)
  const ping = await handlers.pingBackupStorage({}, callContext())
  assert.equal(ping.agentVersion, 'v1')
  assert.ok(ping.availableBytes > 0)
  assert.deepEqual(await readdir(root), CLEAN)
})

test('images that lead out, lie or are locked are refused and leave nothing', async (t) => {
  const { root, base, handlers } = await arrangeBackup(t)
  const encrypted = await qcow2(t)
  // The encryption method in the header; making a real LUKS key takes seconds.
  encrypted.writeUInt32BE(2, 32)
  const cases: [string, Buffer, RegExp][] = [
    [
      'qcow2',
      await qcow2(t, '-F', 'raw', '-b', '/etc/passwd'),
      /overlay on the backing file "\/etc\/passwd"/,
    ],
    [
      'qcow2',
      await qcow2(t, '-u', '-F', 'raw', '-b', 'json:{"driver":"file"}'),
      /overlay on the backing file "json:/,
    ],
    ['qcow2', await qcow2(t, '-o', `data_file=${join(base, 'data')}`), /external data file/],
    ['qcow2', encrypted, /encrypted/],
    ['qcow2', randomBytes(100_000), /no qcow2 magic/],
    ['qcow2', (await qcow2(t)).subarray(0, 90), /ends within the header/],
    ['raw', await qcow2(t), /qcow2 file by its contents; register it as qcow2/],
    ['raw', Buffer.from('# Disk DescriptorFile\nversion=1\nRW 1 FLAT "/etc/passwd" 0\n'), /VMDK descriptor/],
    ['raw', Buffer.alloc(0), /it is empty/],
    ['iso', randomBytes(100_000), /no ISO 9660/],
  ]
  for (const [format, content, why] of cases) {
    const server = await serve(t, sending(content))
    const expectedFormat = format as 'qcow2' | 'raw' | 'iso'
    const input = downloadOf(server.url, join(root, 'd', 'image'), { expectedFormat })
    await assert.rejects(handlers.downloadImage(input, callContext()), { code: 'SYS.1007', message: why })
    assert.deepEqual(await readdir(root), CLEAN, String(why))
  }
})

test('cut-off, endless and forbidden transfers leave nothing', async (t) => {
  const { root, handlers } = await arrangeBackup(t)
  const server = await serve(t, (request, response) => {
    if (request.url === '/cut') {
      response.writeHead(200, { 'content-length': 1_000_000 })
      response.write(randomBytes(100_000), () => response.destroy())
    } else if (request.url === '/cut-chunked') {
      response.write(randomBytes(100_000), () => response.destroy())
    } else if (request.url === '/endless') {
      const more = () => {
        while (!response.destroyed && response.write(randomBytes(65536)));
      }
      response.on('drain', more)
      more()
    } else response.writeHead(200, { 'content-length': 2 ** 50 }).flushHeaders()
  })
  const cases: [string, object, RegExp][] = [
    ['/cut', {}, /the transfer from .*\/cut failed/],
    ['/cut-chunked', {}, /the transfer from .*\/cut-chunked failed/],
    ['/endless', { maxBytes: 1_000_000 }, /larger than the 1000000/],
    ['/huge', {}, /more than the 1073741824 allowed/],
    ['/huge', { maxBytes: 2 ** 51 }, /has 1125899906842624 bytes, but only \d+ are free/],
    ['/cut', { allowPrivateAddresses: false }, /nothing is fetched from 127\.0\.0\.1/],
  ]
  for (const [path, changes, why] of cases) {
    const input = downloadOf(server.url + path, join(root, 'd', 'image'), changes)
    await assert.rejects(handlers.downloadImage(input, callContext()), why)
    assert.deepEqual(await readdir(root), CLEAN, String(why))
  }
})

test('the wrong thing is refused before all of it has come', async (t) => {
  const { root, handlers } = await arrangeBackup(t)
  const server = await serve(t, (_request, response) => {
    response.writeHead(200, { 'content-length': 1_000_000 })
    // The rest never comes.
    response.write(Buffer.concat([Buffer.from('KDMV'), Buffer.alloc(100_000)]))
  })
  const input = downloadOf(server.url, join(root, 'd', 'image'))
  await assert.rejects(handlers.downloadImage(input, callContext()), /it is a VMDK file by its contents/)
  assert.deepEqual(await readdir(root), CLEAN)
})

test('a cancelled download leaves nothing', async (t) => {
  const { root, handlers } = await arrangeBackup(t)
  const begun = Promise.withResolvers<void>()
  const server = await serve(t, (_request, response) => {
    response.writeHead(200, { 'content-length': 1_000_000 })
    response.write(randomBytes(100_000))
  })
  const abort = new AbortController()
  const context = { ...callContext(abort.signal), progress: () => begun.resolve() }
  const download = handlers.downloadImage(downloadOf(server.url, join(root, 'd', 'image')), context)
  await begun.promise
  abort.abort()
  await assert.rejects(download, { code: 'SYS.1017' })
  assert.deepEqual(await readdir(root), CLEAN)
})

test('no command reaches outside the root', async (t) => {
  const { base, root, handlers } = await arrangeBackup(t)
  for (const imagePath of ['/etc/passwd', base, root, `${root}/../x`, `${root}x/y`, 'x', `${root}/a\nb`]) {
    const attempts = [
      () => handlers.downloadImage(downloadOf('http://127.0.0.1:1/', imagePath), callContext()),
      () => handlers.deleteImage({ imagePath }, callContext()),
      () => handlers.statImage({ imagePath }, callContext()),
    ]
    for (const attempt of attempts) await assert.rejects(attempt(), { code: 'SYS.1007' }, imagePath)
  }
})
