import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { deleteFile, listFiles } from './files.ts'
import { receiveStream } from './receive.ts'
import { stageFile, sweepStaged } from './staged-file.ts'
import { testDirectory } from './testing.ts'

test('the final name appears with the whole file, under its mode', async (t) => {
  const root = await testDirectory(t)
  const finalPath = join(root, 'a', 'b', 'file')
  const result = await stageFile({ root, finalPath, mode: 0o444 }, async (temporary) => {
    await writeFile(temporary, 'half')
    await assert.rejects(stat(finalPath), { code: 'ENOENT' })
    assert.deepEqual(await listFiles(root), [])
    assert.deepEqual(await sweepStaged(root), [], 'what is being made is not swept')
    return 7
  })
  assert.equal(result, 7)
  assert.equal(await readFile(finalPath, 'utf8'), 'half')
  assert.equal((await stat(finalPath)).mode & 0o777, 0o444)
})

test('a failure leaves neither file nor directory', async (t) => {
  const root = await testDirectory(t)
  await mkdir(join(root, 'a'))
  const target = { root, finalPath: join(root, 'a', 'b', 'c', 'file'), mode: 0o444 }
  const failing = stageFile(target, async (temporary) => {
    await writeFile(temporary, 'x')
    throw new Error('injected')
  })
  await assert.rejects(failing, (error: Error) => /injected/.test((error.cause as Error).message))
  assert.deepEqual(await readdir(root), [])
})

test('a sweep removes what a crash left and nothing else', async (t) => {
  const root = await testDirectory(t)
  await mkdir(join(root, 'x', 'y'), { recursive: true })
  await writeFile(join(root, 'x', 'y', '.zs-part-0011'), 'half')
  await writeFile(join(root, 'x', 'kept'), 'whole')
  assert.deepEqual(await sweepStaged(root), [join(root, 'x', 'y', '.zs-part-0011')])
  assert.deepEqual((await readdir(root, { recursive: true })).sort(), ['x', 'x/kept'])
})

test('deleting removes the directories left empty, up to the root', async (t) => {
  const root = await testDirectory(t)
  await mkdir(join(root, 'a', 'b'), { recursive: true })
  await writeFile(join(root, 'a', 'b', 'one'), '1')
  await writeFile(join(root, 'a', 'two'), '2')
  assert.equal(await deleteFile(root, join(root, 'a', 'b', 'one')), true)
  assert.deepEqual(await readdir(join(root, 'a')), ['two'])
  assert.equal(await deleteFile(root, join(root, 'a', 'two')), true)
  assert.equal(await deleteFile(root, join(root, 'a', 'two')), false)
  assert.deepEqual(await readdir(root), [])
  await mkdir(join(root, 'd'))
  await assert.rejects(deleteFile(root, join(root, 'd')), /not a regular file/)
})

test('a stream is written, hashed, and its zeros become holes', async (t) => {
  const root = await testDirectory(t)
  const mebibyte = 1024 * 1024
  const pieces = [
    Buffer.alloc(mebibyte),
    Buffer.from('middle'),
    Buffer.alloc(8 * mebibyte),
    Buffer.alloc(5000),
  ]
  const path = join(root, 'file')
  const signal = new AbortController().signal
  const seen: number[] = []
  const received = await receiveStream(Readable.from(pieces), path, {
    maxBytes: 10 * mebibyte,
    signal,
    onBytes: (bytes) => seen.push(bytes),
  })
  const whole = Buffer.concat(pieces)
  assert.deepEqual(await readFile(path), whole)
  assert.equal(received.sizeBytes, whole.length)
  assert.equal(received.sha256, createHash('sha256').update(whole).digest('hex'))
  assert.equal(seen.at(-1), whole.length)
  assert.ok((await stat(path)).blocks * 512 < mebibyte, 'zeros take no space')
})

test('the start is shown once, early, and may refuse the rest', async (t) => {
  const root = await testDirectory(t)
  const { signal } = new AbortController()
  const starts: number[] = []
  const onStart = (start: Buffer) => void starts.push(start.length)
  for (const [name, pieces] of Object.entries({
    empty: [],
    short: [10, 20],
    long: [40_000, 40_000, 40_000],
  })) {
    const stream = Readable.from(pieces.map((length) => Buffer.alloc(length, 1)))
    await receiveStream(stream, join(root, name), { maxBytes: 10 ** 6, signal, onStart })
  }
  assert.deepEqual(starts, [0, 30, 80_000])
  const endless = new Readable({ read() {} })
  endless.push(Buffer.alloc(65536))
  const refuse = () => {
    throw new Error('not this one')
  }
  const refused = receiveStream(endless, join(root, 'refused'), {
    maxBytes: 10 ** 6,
    signal,
    onStart: refuse,
  })
  await assert.rejects(refused, /not this one/)
  assert.equal(endless.destroyed, true)
})

test('a stream that is too long or cancelled is refused', async (t) => {
  const root = await testDirectory(t)
  const abort = new AbortController()
  const long = Readable.from([Buffer.alloc(10), Buffer.alloc(10)])
  await assert.rejects(
    receiveStream(long, join(root, 'a'), { maxBytes: 15, signal: abort.signal }),
    /larger than the 15/,
  )
  assert.equal(long.destroyed, true)
  const endless = new Readable({ read() {} })
  const receiving = receiveStream(endless, join(root, 'b'), { maxBytes: 15, signal: abort.signal })
  abort.abort()
  await assert.rejects(receiving, { code: 'SYS.1017' })
})
