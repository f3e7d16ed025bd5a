import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { arrangeHost, callContext, imageOf, run, serving } from './testing.ts'

const MIB = 2 ** 20

/** A file system of 4 MiB, the caller's to unmount. Undefined, with a notice, where mounting is not allowed. */
async function smallDisk(t: TestContext): Promise<string | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'zs-small-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'zs-test', directory])
  } catch (error) {
    t.skip(`a full disk needs the right to mount a tmpfs: ${(error as Error).message}`)
    return undefined
  }
  return directory
}

test('a full disk is told with the space left, and nothing stays', async (t) => {
  const disk = await smallDisk(t)
  if (disk === undefined) return
  try {
    const content = randomBytes(3 * MIB)
    const { root, handlers } = await arrangeHost(
      t,
      async (source, signal) => {
        // Fills up after the space was checked.
        await writeFile(join(disk, 'other'), randomBytes(2 * MIB))
        return serving(content)(source, signal)
      },
      join(disk, 'ps'),
    )
    const tooLarge = imageOf(randomBytes(5 * MIB), join(root, 'large.img'))
    await assert.rejects(
      handlers.cacheImage(tooLarge, callContext()),
      /needs 5242880 bytes, but only \d+ are free/,
    )
    await assert.rejects(
      handlers.cacheImage(imageOf(content, join(root, 'c', 'i.img')), callContext()),
      /the disk is full, \d+ bytes are free/,
    )
    assert.deepEqual(await readdir(root), ['.zstack-storage.json'])
    const { availableBytes } = await handlers.storageCapacity({ root }, callContext())
    await writeFile(join(disk, 'rest'), randomBytes(availableBytes))
    await assert.rejects(
      handlers.createEmptyVolume({ installPath: join(root, 'v', 'v.qcow2'), sizeBytes: MIB }, callContext()),
      /the disk is full, 0 bytes are free/,
    )
    assert.deepEqual(await readdir(root), ['.zstack-storage.json'])
  } finally {
    await run('umount', ['-l', disk])
  }
})
