import assert from 'node:assert/strict'
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { listFiles } from './files.ts'
import { StorageRoots } from './storage-roots.ts'
import { testDirectory } from './testing.ts'

async function arrange(t: TestContext) {
  const base = await testDirectory(t)
  const stateFile = join(base, 'state', 'roots.json')
  return { base, stateFile, root: join(base, 'ps'), roots: new StorageRoots(stateFile) }
}

test('a root is remembered by the next process', async (t) => {
  const { root, roots, stateFile } = await arrange(t)
  await roots.init(root, 'a')
  await roots.init(root, 'a')
  const next = new StorageRoots(stateFile)
  assert.deepEqual(await next.list(), [{ root, storageUuid: 'a' }])
  assert.deepEqual(await next.confine(join(root, 'x', 'y')), { root, path: join(root, 'x', 'y') })
  assert.deepEqual(await listFiles(root), [])
})

test('nothing outside a root can be named', async (t) => {
  const { base, root, roots } = await arrange(t)
  await assert.rejects(roots.confine(join(root, 'x')), /none of the storage roots/)
  await assert.rejects(roots.require(root), /not initialised/)
  await roots.init(root, 'a')
  await assert.rejects(roots.confine(join(base, 'other')), /none of the storage roots/)
  await assert.rejects(roots.confine(`${root}-b/x`), /none of the storage roots/)
  for (const own of ['.zstack-storage.json', 'a/.zs-part-0']) {
    await assert.rejects(roots.confine(join(root, own)), /kept for the agent/)
  }
})

test('places of the system, of the agent, and in one another are refused and not created', async (t) => {
  const { base, root, roots } = await arrange(t)
  await roots.init(root, 'a')
  await symlink('/etc', join(base, 'link'))
  await assert.rejects(roots.init('/', 'b'), /operating system/)
  await assert.rejects(roots.init('/etc/zs-test-root', 'b'), /operating system/)
  await assert.rejects(roots.init(join(base, 'link', 'zs-test-root'), 'b'), /operating system/)
  await assert.rejects(readFile('/etc/zs-test-root/.zstack-storage.json'), { code: 'ENOENT' })
  await assert.rejects(roots.init(join(base, 'state', 'x'), 'b'), /agent's own directory/)
  await assert.rejects(roots.init(base, 'b'), /agent's own directory/)
  await assert.rejects(roots.init(join(root, 'inner'), 'b'), /in one another/)
  await assert.rejects(roots.init(`${root}/../x`, 'b'), /`\.\.`/)
})

test('files do not change hands, an empty directory may', async (t) => {
  const { root, roots } = await arrange(t)
  await roots.init(root, 'a')
  await writeFile(join(root, 'volume'), 'x')
  await assert.rejects(roots.init(root, 'b'), /holds the files of storage a/)
  await rm(join(root, 'volume'))
  await roots.init(root, 'b')
  assert.deepEqual(await roots.list(), [{ root, storageUuid: 'b' }])
})

test('a root whose disk is not mounted is not written to', async (t) => {
  const { root, roots } = await arrange(t)
  await roots.init(root, 'a')
  // What an unmounted disk leaves: the bare directory.
  await rm(root, { recursive: true })
  await mkdir(root)
  for (const attempt of [
    () => roots.require(root),
    () => roots.confine(`${root}/x`),
    () => roots.init(root, 'a'),
  ]) {
    await assert.rejects(attempt(), /is its disk mounted/)
  }
  await writeFile(join(root, '.zstack-storage.json'), '{"storageUuid":"a"}')
  await roots.init(root, 'a')
})

test('a damaged list is told, not taken for an empty one', async (t) => {
  const { root, roots, stateFile } = await arrange(t)
  await mkdir(join(stateFile, '..'), { recursive: true })
  await writeFile(stateFile, '{"roots":')
  await assert.rejects(roots.init(root, 'a'), /is damaged; delete it/)
  await rm(stateFile)
  await roots.init(root, 'a')
})
