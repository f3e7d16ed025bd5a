import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { discoverTests } from './test-run/discover.ts'

const runner = fileURLToPath(new URL('./test-runner.ts', import.meta.url))
const importTest = "import test from 'node:test'\n"

async function makeTree(t: TestContext, tree: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'tree-'))
  t.after(() => rm(root, { recursive: true }))
  await writeFile(join(root, 'package.json'), '{"type":"module"}')
  for (const [path, text] of Object.entries(tree)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  return root
}

type Run = { code: number | null; output: string; lastLine: string | undefined }

async function runTests(root: string, ...args: string[]): Promise<Run> {
  // What this file runs on is not what those are to run on.
  const { ZSTACK_TEST_DB: _, ...env } = process.env
  const child = spawn(process.execPath, [runner, '--root', root, ...args], { env })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve)
  })
  return { code, output, lastLine: output.trimEnd().split('\n').at(-1) }
}

/** A killed process that nobody has reaped yet still has its folder in /proc, but no command line. */
async function isRunning(pid: string): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== ''
}

test('passing tests: exit code 0, the summary is the last line, skips are told with their reason', async (t) => {
  const root = await makeTree(t, {
    'a.test.ts': `${importTest}test('one', () => {})\ntest('two', { skip: 'no moon' }, () => {})`,
    'cases/b.case.ts': `${importTest}test.suite('s', () => { test('three', () => {}) })`,
  })
  const { code, output, lastLine } = await runTests(root)
  assert.equal(lastLine, '2 passed, 0 failed, 1 skipped', output)
  assert.equal(code, 0)
  assert.match(output, /no moon:\n +a\.test\.ts: two/)
})

test('a failing test fails the run and is shown in full, its parents are not counted', async (t) => {
  const root = await makeTree(t, {
    'a.test.ts': `${importTest}import assert from 'node:assert/strict'
      test('outer', async (t) => { await t.test('inner', () => { console.log('said'); assert.equal(1, 2) }) })
      test('fine', () => {})`,
  })
  const { code, output, lastLine } = await runTests(root)
  assert.equal(lastLine, '1 passed, 1 failed', output)
  assert.equal(code, 1)
  assert.match(output, /outer > inner[\s\S]*1 !== 2[\s\S]*said/)
})

const brokenFiles: [what: string, text: string, reason: RegExp][] = [
  ['throws while loading', "throw new Error('early')", /ended before its tests did \(exit code 1\)/],
  ['has no test', 'export {}', /ended before its tests did \(exit code 0\)/],
  ['leaves in the middle', `${importTest}test('a', () => process.exit(0))`, /ended before its tests did/],
  [
    'leaves a promise that fails',
    `${importTest}test('a', () => { setImmediate(() => void Promise.reject(new Error('left'))) })
      test('b', async () => { for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate) })`,
    /after the test ended.*Error: left/,
  ],
  ['is killed', `${importTest}test('a', () => process.kill(process.pid, 'SIGKILL'))`, /SIGKILL/],
  [
    'throws after its tests',
    `${importTest}test('a', () => {})\nprocess.on('exit', () => { process.exitCode = 3 })`,
    /3/,
  ],
]

for (const [what, text, reason] of brokenFiles) {
  test(`a file that ${what} is a failure`, async (t) => {
    const root = await makeTree(t, { 'a.test.ts': text })
    const { code, output, lastLine } = await runTests(root)
    assert.match(lastLine ?? '', /^\d passed, 1 failed$/, output)
    assert.match(output, reason)
    assert.equal(code, 1)
  })
}

test('a file over its time is killed with its children', async (t) => {
  const root = await makeTree(t, {
    'a.test.ts': `${importTest}import { spawn } from 'node:child_process'
      import { writeFileSync } from 'node:fs'
      test('hangs', async () => {
        const child = spawn('sleep', ['1000'], { detached: true })
        writeFileSync(new URL('./pid', import.meta.url), String(child.pid))
        await new Promise(() => setInterval(() => {}, 1000))
      })`,
  })
  const { output, lastLine } = await runTests(root, '--time-limit', '1')
  assert.equal(lastLine, '0 passed, 1 failed', output)
  assert.match(output, /killed: not finished after 1 s/)
  assert.equal(await isRunning(await readFile(join(root, 'pid'), 'utf8')), false)
})

test('a process a file leaves behind is a failure and is ended', async (t) => {
  const root = await makeTree(t, {
    'a.test.ts': `${importTest}import { spawn } from 'node:child_process'
      test('forgets', () => { spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' }).unref() })`,
  })
  const { output, lastLine } = await runTests(root)
  assert.equal(lastLine, '1 passed, 1 failed', output)
  const pid = /process (\d+) still runs: sleep 1000/.exec(output)?.[1]
  assert.ok(pid, output)
  assert.equal(await isRunning(pid), false)
})

test('each file has its own TMPDIR, removed at the end', async (t) => {
  const text = `${importTest}import { tmpdir } from 'node:os'
    import { writeFileSync } from 'node:fs'
    test('a', () => {
      writeFileSync(tmpdir() + '/left', '')
      writeFileSync(new URL(import.meta.url + '.folder'), process.env.ZSTACK_TEST_TMP ?? '')
    })`
  const root = await makeTree(t, { 'a.test.ts': text, 'b.test.ts': text })
  const { code, output } = await runTests(root)
  assert.equal(code, 0, output)
  const folders = await Promise.all(
    ['a', 'b'].map((name) => readFile(join(root, `${name}.test.ts.folder`), 'utf8')),
  )
  assert.notEqual(folders[0], folders[1])
  for (const folder of folders) {
    assert.match(folder, /^\/tmp\/zstack-test-[\w-]+\/\d+$/)
    assert.equal(existsSync(dirname(folder)), false)
  }
})

test('what one file compiled is there for the next', async (t) => {
  const text = `${importTest}import { readdirSync, writeFileSync } from 'node:fs'
    test('a', () => writeFileSync(import.meta.filename + '.seen', String(readdirSync(process.env.NODE_COMPILE_CACHE, { recursive: true }).length)))`
  const root = await makeTree(t, { 'a.test.ts': text, 'b.test.ts': text, 'c.test.ts': text })
  const { code, output } = await runTests(root)
  assert.equal(code, 0, output)
  // The folder of this version of Node, and something in it.
  assert.ok(Number(await readFile(join(root, 'c.test.ts.seen'), 'utf8')) > 1)
  assert.doesNotMatch(output, /was left/)
})

test('no test at all is a failure', async (t) => {
  const { code, output, lastLine } = await runTests(await makeTree(t, {}))
  assert.equal(lastLine, '0 passed, 0 failed', output)
  assert.match(output, /no test ran/)
  assert.equal(code, 1)
})

test('--json writes totals and every file', async (t) => {
  const root = await makeTree(t, { 'a.test.ts': `${importTest}test('one', () => {})` })
  await runTests(root, '--json', join(root, 'out.json'))
  const result = JSON.parse(await readFile(join(root, 'out.json'), 'utf8'))
  assert.equal(result.passed, 1)
  assert.deepEqual(
    result.files.map((file: { path: string }) => file.path),
    ['a.test.ts'],
  )
})

const usesDatabase = `${importTest}import { writeFileSync } from 'node:fs'
  test('one', () => writeFileSync(process.env.ZSTACK_TEST_DB_MARK, ''))\n`

test('what uses the database of tests runs on both, the rest once; what is named after one runs on that', async (t) => {
  const root = await makeTree(t, {
    'a.test.ts': usesDatabase,
    'b.test.ts': `${importTest}test('one', () => {})`,
    'c/mariadb.test.ts': usesDatabase,
    'c/sqlite-files.test.ts': usesDatabase,
    'cases/d.case.ts': usesDatabase,
  })
  const runsOf = async (...args: string[]) => {
    const { output } = await runTests(root, 'unit', 'cases', ...args)
    return output.split('\n').flatMap((line) => /^ok {3}\w+ +(.*?) {2}1 passed/.exec(line)?.[1] ?? [])
  }
  const named = ['c/mariadb.test.ts on mariadb', 'c/sqlite-files.test.ts on sqlite']
  const onBoth = ['a.test.ts', 'cases/d.case.ts'].flatMap((path) => [
    `${path} on sqlite`,
    `${path} on mariadb`,
  ])
  assert.deepEqual((await runsOf()).sort(), [...onBoth, 'b.test.ts', ...named].sort())
  const onOne = ['a.test.ts on mariadb', 'cases/d.case.ts on mariadb']
  assert.deepEqual((await runsOf('--db', 'mariadb')).sort(), [...onOne, 'b.test.ts', ...named].sort())
})

test('a failure on one database tells how to run it once more', async (t) => {
  const text = `${usesDatabase}test('two', () => { if (process.env.ZSTACK_TEST_DB === 'mariadb') throw new Error('no') })`
  const { output, lastLine } = await runTests(await makeTree(t, { 'a.test.ts': text }))
  assert.equal(lastLine, '3 passed, 1 failed', output)
  assert.match(
    output,
    /FAIL unit {2}a\.test\.ts on mariadb[\s\S]*once more: \.\/zstack test --db mariadb a\.test\.ts/,
  )
  assert.match(output, /failed:\n {2}a\.test\.ts on mariadb: two/)
})

test('what is skipped on one database is told with its name', async (t) => {
  const text = `import { writeFileSync } from 'node:fs'\n${importTest}
    const isSqlite = process.env.ZSTACK_TEST_DB === 'sqlite'
    test('one', { skip: isSqlite ? false : 'about files' }, () => writeFileSync(process.env.ZSTACK_TEST_DB_MARK, ''))`
  const { output, lastLine } = await runTests(await makeTree(t, { 'a.test.ts': text }))
  assert.equal(lastLine, '1 passed, 0 failed, 1 skipped', output)
  assert.match(output, /about files:\n +a\.test\.ts on mariadb: one/)
})

test('an unknown database is refused', async (t) => {
  const { code, output } = await runTests(await makeTree(t, {}), '--db', 'oracle')
  assert.equal(code, 2)
  assert.match(output, /--db is sqlite or mariadb, not 'oracle'/)
})

test('words choose by kind or by a part of the path', async (t) => {
  const paths = [
    'a.test.ts',
    'plugins/vm/cases/b.case.ts',
    'lab/c.test.ts',
    'e2e/d.e2e.ts',
    'e2e/e.test.ts',
    'e2e/chaos/g.chaos.ts',
    'f.ts',
  ]
  const root = await makeTree(t, Object.fromEntries(paths.map((path) => [path, ''])))
  const find = async (...words: string[]) => (await discoverTests(root, words)).map((file) => file.path)
  assert.deepEqual(await find('unit'), ['a.test.ts'])
  assert.deepEqual(await find('cases'), ['plugins/vm/cases/b.case.ts'])
  assert.deepEqual(await find('e2e'), ['e2e/d.e2e.ts', 'lab/c.test.ts'])
  assert.deepEqual(await find('chaos'), ['e2e/chaos/g.chaos.ts'])
  assert.ok(!(await find()).includes('e2e/chaos/g.chaos.ts'), 'chaos is run only when asked for')
  assert.deepEqual(await find('vm/', 'unit'), ['a.test.ts', 'plugins/vm/cases/b.case.ts'])
  assert.deepEqual(await find('nothing'), [])
  assert.equal((await readdir(root)).length > 0, true)
})
