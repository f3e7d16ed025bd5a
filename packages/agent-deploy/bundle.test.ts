import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { buildBundle } from './bundle.ts'
import { findPackages } from './lock-file.ts'
import { createTar } from './tar.ts'

async function scratch(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'agent-deploy-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function write(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true })
    await writeFile(join(root, path), text)
  }
}

const lock = {
  packages: {
    '': {},
    'node_modules/a': {
      dependencies: { b: '1' },
      optionalDependencies: { 'a-linux': '1', 'a-mac': '1', none: '1' },
    },
    'node_modules/a/node_modules/b': { dependencies: { c: '1' } },
    'node_modules/a-linux': { os: ['linux'], cpu: ['x64'] },
    'node_modules/a-mac': { os: ['darwin'] },
    'node_modules/b': {},
    'node_modules/c': { dependencies: { a: '1' } },
    'node_modules/unused': {},
  },
}
const platform = { os: 'linux', cpu: 'x64' }

test('packages are found as Node finds them, with the optional ones of the platform', () => {
  assert.deepEqual(findPackages(lock, ['a'], platform), [
    'node_modules/a',
    'node_modules/a/node_modules/b',
    'node_modules/c',
    'node_modules/a-linux',
  ])
  assert.throws(() => findPackages(lock, ['nowhere'], platform), /has no nowhere, which the agent needs/)
})

test('an archive unpacks to the files it was made of, long paths and modes included', async (t) => {
  const dir = await scratch(t)
  const long = `node_modules/${'d'.repeat(70)}/${'e'.repeat(60)}/file.js`
  const files = [
    { path: long, data: Buffer.from('long'), executable: false },
    { path: 'a/run', data: Buffer.alloc(1000, 'x'), executable: true },
    { path: 'empty', data: Buffer.alloc(0), executable: false },
  ]
  await writeFile(join(dir, 'a.tar'), createTar(files))
  execFileSync('tar', ['-xf', join(dir, 'a.tar'), '-C', dir])
  for (const file of files) assert.deepEqual(await readFile(join(dir, file.path)), file.data)
  const listing = execFileSync('tar', ['-tvf', join(dir, 'a.tar')], { encoding: 'utf8' })
  assert.match(listing, /^-rwxr-xr-x .* a\/run$/m)
  assert.match(listing, /^-rw-r--r-- .* empty$/m)
  assert.deepEqual(createTar(files), createTar(files.toReversed()))
  const tooLong = { path: 'f'.repeat(101), data: Buffer.alloc(0), executable: false }
  assert.throws(() => createTar([tooLong]), /too long/)
})

test('a bundle holds what the manifest names and nothing for people, and its hash follows the sources', async (t) => {
  const root = await scratch(t)
  const manifest = {
    sources: ['agents/echo', 'packages/x'],
    packages: ['a'],
    debianPackages: ['tar'],
    architecturePackages: { [process.arch]: ['gzip'], pdp11: ['none'] },
    daemons: [],
  }
  await write(root, {
    'package.json': JSON.stringify({ imports: { '#x': './packages/x/index.ts' }, scripts: { a: 'b' } }),
    'package-lock.json': JSON.stringify({ packages: { 'node_modules/a': {} } }),
    'agents/echo/manifest.json': JSON.stringify(manifest),
    'agents/echo/main.ts': '',
    'agents/echo/main.test.ts': '',
    'packages/x/index.ts': '1',
    'packages/y/index.ts': '',
    'node_modules/a/index.js': '',
    'node_modules/a/README.md': '',
    'node_modules/a/docs/x.js': '',
    'node_modules/a/lib/docs/x.js': '',
  })
  const bundle = await buildBundle(root, 'echo')
  await writeFile(join(root, 'b.tar.gz'), bundle.archive)
  await mkdir(join(root, 'out'))
  execFileSync('tar', ['-xzf', join(root, 'b.tar.gz'), '-C', join(root, 'out')])
  const entries = await readdir(join(root, 'out'), { recursive: true, withFileTypes: true })
  const files = entries
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath, e.name).slice(root.length + 5))
  assert.deepEqual(files.sort(), [
    'agents/echo/main.ts',
    'agents/echo/manifest.json',
    'node_modules/a/index.js',
    'node_modules/a/lib/docs/x.js',
    'package.json',
    'packages/x/index.ts',
  ])
  assert.deepEqual([bundle.debianPackages, bundle.runtime.path], [['tar', 'gzip'], process.execPath])
  assert.equal((await buildBundle(root, 'echo')).hash, bundle.hash)
  await write(root, { 'packages/x/index.ts': '2' })
  assert.notEqual((await buildBundle(root, 'echo')).hash, bundle.hash)
  await assert.rejects(buildBundle(root, 'nowhere'), {
    code: 'SYS.1016',
    details: /bundle of the nowhere agent/,
  })
})
