import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { waitFor } from '#kernel'
import { createBackupStorageHandlers } from './handlers.ts'
import { arrangeBackup, callContext, downloadOf, run, sending, serve } from './testing.ts'

const CLEAN = ['.zstack-storage.json']

test('one agent serves one storage, whose root may move', async (t) => {
  const { base, root, storage, handlers, deps } = await arrangeBackup(t)
  const other = { root: join(base, 'other'), storageUuid: 'c'.repeat(32) }
  await assert.rejects(handlers.initBackupStorage(other, callContext()), /cannot serve c+ as well/)
  await handlers.initBackupStorage({ ...storage, root: join(base, 'moved') }, callContext())
  const next = createBackupStorageHandlers(deps).handlers
  assert.deepEqual(await next.listImages({}, callContext()), { files: [] })
  await assert.rejects(
    next.statImage({ imagePath: join(root, 'x') }, callContext()),
    /none of the storage roots/,
  )
})

test('a ping tells when the root is gone', async (t) => {
  const { root, handlers } = await arrangeBackup(t)
  await rm(root, { recursive: true })
  await assert.rejects(handlers.pingBackupStorage({}, callContext()), /is its disk mounted/)
})

test('an agent without a root says so', async (t) => {
  const { base, deps } = await arrangeBackup(t)
  const { handlers } = createBackupStorageHandlers({ ...deps, stateDirectory: join(base, 'fresh') })
  await assert.rejects(handlers.pingBackupStorage({}, callContext()), /has no root yet/)
  await assert.rejects(handlers.listImages({}, callContext()), /has no root yet/)
})

test('an agent killed while it downloads leaves one temporary file, which the next init removes', async (t) => {
  const { root, storage, handlers, deps } = await arrangeBackup(t)
  const server = await serve(t, (_request, response) => {
    response.writeHead(200, { 'content-length': 1_000_000 })
    response.write(randomBytes(100_000))
  })
  const input = downloadOf(server.url, join(root, 'd', 'image'))
  const script = `
    import { createBackupStorageHandlers } from '${new URL('./handlers.ts', import.meta.url)}'
    const [deps, input] = JSON.parse(process.argv[1])
    const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
    const { handlers } = createBackupStorageHandlers({ ...deps, log })
    const progress = () => process.stdout.write('begun')
    await handlers.downloadImage(input, { callId: 'c', signal: new AbortController().signal, progress })`
  const data = JSON.stringify([{ stateDirectory: deps.stateDirectory, agentVersion: 'v1' }, input])
  const child: ChildProcess = spawn(
    process.execPath,
    ['--input-type=module-typescript', '-e', script, '--', data],
    {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  t.after(() => child.kill('SIGKILL'))
  assert.ok(child.stdout !== null)
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  const left = await waitFor('the temporary file', async () => {
    const files = (await readdir(root, { recursive: true })).filter((name) => name.includes('.zs-part-'))
    return files.length === 1 && files
  })
  assert.match(left[0] ?? '', /^d\/\.zs-part-[0-9a-f]{16}$/)
  assert.deepEqual(await handlers.listImages({}, callContext()), { files: [] })
  await handlers.initBackupStorage(storage, callContext())
  assert.deepEqual(await readdir(root), CLEAN)
})

test('a full disk is told with the space left, and nothing stays', async (t) => {
  const disk = await mkdtemp(join(tmpdir(), 'zs-small-'))
  t.after(() => rm(disk, { recursive: true, force: true }))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'zs-test', disk])
  } catch (error) {
    t.skip(`a full disk needs the right to mount a tmpfs: ${(error as Error).message}`)
    return
  }
  try {
    const { root, handlers } = await arrangeBackup(t, {}, disk)
    const content = randomBytes(6 * 2 ** 20)
    // Without an announced size the shortage shows only while writing.
    const chunked = await serve(t, (_request, response) => {
      response.write(content)
      response.end()
    })
    const sized = await serve(t, sending(content))
    const imagePath = join(root, 'd', 'image')
    const cases: [string, RegExp][] = [
      [sized.url, /has 6291456 bytes, but only \d+ are free/],
      [chunked.url, /the disk is full, \d+ bytes are free/],
    ]
    for (const [url, why] of cases) {
      const input = downloadOf(url, imagePath)
      await assert.rejects(handlers.downloadImage(input, callContext()), { code: 'SYS.1016', message: why })
      assert.deepEqual(await readdir(root), CLEAN)
    }
    const { availableBytes } = await handlers.pingBackupStorage({}, callContext())
    await writeFile(join(disk, 'rest'), randomBytes(availableBytes))
    await assert.rejects(handlers.pingBackupStorage({}, callContext()), /the disk is full, 0 bytes are free/)
    assert.deepEqual(await readdir(root), CLEAN)
  } finally {
    await run('umount', ['-l', disk])
  }
})
