import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { OpenImage } from './cache-image.ts'
import { arrangeHost, callContext, imageOf, run, serving } from './testing.ts'

const CLEAN = ['.zstack-storage.json']

test('an image arrives whole, read-only, with progress; a repeat opens nothing', async (t) => {
  const content = randomBytes(1_000_000)
  let opened = 0
  const { root, handlers } = await arrangeHost(t, (source, signal) => {
    opened += 1
    return serving(content)(source, signal)
  })
  const input = imageOf(content, join(root, 'imagecache', 'template', 'i', 'i.img'))
  const context = callContext()
  const result = await handlers.cacheImage(input, context)
  assert.ok(result.actualSizeBytes >= content.length)
  assert.deepEqual(await readFile(input.cachePath), content)
  assert.equal((await stat(input.cachePath)).mode & 0o777, 0o444)
  assert.equal(context.seen.at(-1), 100)
  assert.ok(context.seen.length > 5)
  assert.deepEqual(await handlers.cacheImage(input, callContext()), result)
  assert.equal(opened, 1)
})

test('callers at the same time share one transfer', async (t) => {
  const content = randomBytes(300_000)
  let opened = 0
  const { root, handlers } = await arrangeHost(t, (source, signal) => {
    opened += 1
    return serving(content)(source, signal)
  })
  const input = imageOf(content, join(root, 'i.img'))
  const all = [1, 2, 3].map(() => handlers.cacheImage(input, callContext()))
  await assert.rejects(
    handlers.cacheImage({ ...input, sha256: '0'.repeat(64) }, callContext()),
    /another source/,
  )
  await Promise.all(all)
  assert.equal(opened, 1)
})

test('a file that is not the one expected never gets the name', async (t) => {
  const content = randomBytes(200_000)
  const damaged = Buffer.from(content)
  damaged[100_000] = (damaged[100_000] ?? 0) ^ 1
  const cutOff: OpenImage = async () => ({
    stream: Readable.from([content.subarray(0, 1000)]),
    size: content.length,
  })
  const broken: OpenImage = async () => ({
    size: content.length,
    stream: Readable.from(
      (function* () {
        yield content.subarray(0, 1000)
        throw new Error('connection reset')
      })(),
    ),
  })
  const cases: [OpenImage, RegExp][] = [
    [serving(damaged), /is damaged: its sha256 is/],
    [serving(content, content.length + 1), /has 200001 bytes instead of 200000/],
    [serving(Buffer.concat([content, content]), content.length), /larger than the 200000/],
    [cutOff, /ended after 1000 of 200000 bytes/],
    [broken, /writing .* failed/],
    [() => Promise.reject(new Error('refused')), /writing .* failed/],
  ]
  for (const [openImage, why] of cases) {
    const { root, handlers } = await arrangeHost(t, openImage)
    await assert.rejects(handlers.cacheImage(imageOf(content, join(root, 'c', 'i.img')), callContext()), why)
    assert.deepEqual(await readdir(root), CLEAN, String(why))
  }
})

test('a qcow2 that leads out is refused whatever the backup storage says', async (t) => {
  const { base } = await arrangeHost(t)
  const evil = join(base, 'evil.qcow2')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/passwd', evil, '1M'])
  const content = await readFile(evil)
  const { root, handlers } = await arrangeHost(t, serving(content))
  await assert.rejects(
    handlers.cacheImage(imageOf(content, join(root, 'i.qcow2'), 'qcow2'), callContext()),
    /overlay on the backing file "\/etc\/passwd"/,
  )
  assert.deepEqual(await readdir(root), CLEAN)
})

test('a cancelled transfer leaves nothing, and the next call starts anew', async (t) => {
  const content = randomBytes(200_000)
  const begun = Promise.withResolvers<void>()
  let hangs = true
  const { root, handlers } = await arrangeHost(t, async (source, signal) => {
    if (!hangs) return serving(content)(source, signal)
    hangs = false
    const stream = new Readable({ read: () => begun.resolve() })
    stream.push(content.subarray(0, 1000))
    return { stream, size: content.length }
  })
  const abort = new AbortController()
  const input = imageOf(content, join(root, 'i.img'))
  const first = handlers.cacheImage(input, callContext(abort.signal))
  await begun.promise
  abort.abort()
  await assert.rejects(first, { code: 'SYS.1017' })
  assert.deepEqual(await readdir(root), CLEAN)
  await handlers.cacheImage(input, callContext())
  assert.deepEqual(await readFile(input.cachePath), content)
})

test('a cached file that was changed is told and left alone', async (t) => {
  const content = randomBytes(5000)
  const { root, handlers } = await arrangeHost(t, serving(content))
  const input = imageOf(content, join(root, 'i.img'))
  await handlers.cacheImage(input, callContext())
  await chmod(input.cachePath, 0o644)
  await writeFile(input.cachePath, 'changed')
  await assert.rejects(handlers.cacheImage(input, callContext()), /has 7 bytes instead of 5000/)
  assert.equal(await readFile(input.cachePath, 'utf8'), 'changed')
})
