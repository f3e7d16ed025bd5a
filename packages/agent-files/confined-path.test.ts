import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { confinePath } from './confined-path.ts'
import { testDirectory } from './testing.ts'

const refusedBecause = (why: RegExp) => (error: Error & { code?: string }) => {
  assert.equal(error.code, 'SYS.1007')
  assert.match(error.message, why)
  return true
}

test('a path below the root is given back normalised, there or not', async (t) => {
  const root = await testDirectory(t)
  await mkdir(join(root, 'a'))
  assert.equal(await confinePath(root, `${root}//a/./b/c.qcow2`), `${root}/a/b/c.qcow2`)
  assert.equal(await confinePath(root, root, { allowRoot: true }), root)
})

test('paths that are not plainly below the root are refused', async (t) => {
  const root = await testDirectory(t)
  const cases: [string, RegExp][] = [
    [root, /not inside/],
    [`${root}/`, /not inside/],
    [`${root}x/file`, /not inside/],
    ['/etc/passwd', /not inside/],
    ['/', /not inside/],
    ['relative/file', /not absolute/],
    ['', /not absolute/],
    [`${root}/../etc/passwd`, /holds `\.\.`/],
    [`${root}/a/../b`, /holds `\.\.`/],
    [`${root}/a\0b`, /control character/],
    [`${root}/a\nb`, /control character/],
  ]
  for (const [path, why] of cases) await assert.rejects(confinePath(root, path), refusedBecause(why), path)
})

test('a link is followed only as long as it stays inside', async (t) => {
  const base = await testDirectory(t)
  const root = join(base, 'root')
  await mkdir(join(root, 'real'), { recursive: true })
  await mkdir(join(base, 'outside'))
  await writeFile(join(base, 'outside', 'file'), 'secret')
  await symlink(join(root, 'real'), join(root, 'inside'))
  await symlink(join(base, 'outside'), join(root, 'out'))
  await symlink(join(base, 'outside', 'file'), join(root, 'out-file'))
  await symlink(join(base, 'nowhere'), join(root, 'dangling'))
  await symlink(`${root}-evil`, join(root, 'sibling'))
  assert.equal(await confinePath(root, join(root, 'inside', 'x')), join(root, 'inside', 'x'))
  for (const name of ['out', 'out/new', 'out/deep/new', 'out-file']) {
    await assert.rejects(
      confinePath(root, join(root, name)),
      refusedBecause(/outside the storage root/),
      name,
    )
  }
  for (const name of ['dangling', 'dangling/x', 'sibling']) {
    await assert.rejects(confinePath(root, join(root, name)), refusedBecause(/leads nowhere/), name)
  }
})

test('a root that is itself a link is fine', async (t) => {
  const base = await testDirectory(t)
  await mkdir(join(base, 'disk'))
  await symlink(join(base, 'disk'), join(base, 'root'))
  assert.equal(await confinePath(join(base, 'root'), join(base, 'root', 'x')), join(base, 'root', 'x'))
})
