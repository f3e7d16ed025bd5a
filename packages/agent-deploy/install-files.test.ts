import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentBundle } from './bundle.ts'
import { ensureRuntime, runtimePath } from './install-files.ts'
import { createTestSession } from './test-session.ts'

const bundle: AgentBundle = {
  role: 'kvm-host',
  hash: 'hash',
  archive: Buffer.alloc(0),
  debianPackages: [],
  daemons: [],
  runtime: { path: '/usr/bin/node', sha256: 'right' },
}
const path = runtimePath(bundle)

/** A host where another deployment put the runtime in place while ours was uploading. */
function hostInARace(sumOfOthers: string) {
  return createTestSession({}, (command) => {
    if (command.startsWith('ln ')) return { status: 1, stderr: 'File exists' }
    return { stdout: command.endsWith(` ${path}`) ? `${sumOfOthers}  x\n` : 'right  x\n' }
  })
}

test('the runtime another deployment brought meanwhile stays in place; ours is removed', async () => {
  const host = hostInARace('right')
  await ensureRuntime(host, bundle)
  const shown = host.commands.map((command) => command.replace(/\.node\.\w+/, '.node.temporary'))
  const temporary = path.replace(/node$/, '.node.temporary')
  assert.deepEqual(shown, [
    `mkdir -p ${path.slice(0, -'/node'.length)}`,
    `upload /usr/bin/node ${temporary}`,
    `sha256sum -- ${temporary}`,
    `ln -T ${temporary} ${path}`,
    `sha256sum -- ${path}`,
    `rm -f ${temporary}`,
  ])
})

test('a damaged runtime is refused, and nothing of it stays', async () => {
  const host = hostInARace('wrong')
  await assert.rejects(ensureRuntime(host, bundle), { details: /arrived damaged: sha256 wrong, sent right/ })
  assert.match(host.commands.at(-1) ?? '', /^rm -f .*\.node\./)
})

test('a runtime that is there is not brought again', async () => {
  const host = createTestSession({ [path]: '' }, () => ({}))
  await ensureRuntime(host, bundle)
  assert.deepEqual(host.commands, [])
})
